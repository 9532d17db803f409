"""Holds docs/configuration.md to the tables in config/*.c: every key is named in the table of its
section, no other is, and the defaults agree.

A comment says which schema a table of the page describes:

    <!-- keys: scrape -->            rows `key` | default | meaning of schema_scrape
    <!-- keys of sections: -->       rows `path.of.a.section` | its keys; sections that do not run

`HTTP client` and `proxy` in italics stand for the blocks that many sections share.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"
Field = collections.namedtuple("Field", "name kind schema fallback")

SCHEMA = re.compile(r"struct schema schema_(\w+)\s*=\s*\{.*?,\s*(\w+_fields),", re.S)
TABLE = re.compile(r"struct field (\w+_fields)\[\]\s*=\s*\{(.*?)\n\};", re.S)
ENTRY = re.compile(r'\{\s*"(\w+)",\s*FIELD_(\w+),\s*(NULL|&schema_(\w+)),\s*'
                   r'(NULL|http2|"(?:[^"\\]|\\.)*"),')
BLOCKS = {"HTTP_CLIENT_FIELDS": "HTTP client", "PROXY_FIELDS": "proxy",
          "DISCOVERY_FIELDS": "discovery"}
BLOCK = re.compile(r"\b(HTTP_CLIENT_FIELDS|PROXY_FIELDS|DISCOVERY_FIELDS)")


def fields_of(text):
    found = []
    for name, kind, reference, schema, fallback in ENTRY.findall(text):
        # Of the macro's parameter, jobs and discovery have "true".
        value = "true" if fallback == "http2" else fallback.strip('"')
        value = None if value == "NULL" else value
        found.append(Field(name, kind, schema if reference != "NULL" else None, value))
    found += [Field(BLOCKS[block], "BLOCK", None, None) for block in BLOCK.findall(text)]
    return found


def read_schemas():
    """{schema name: [Field…]}; the shared blocks by their names in BLOCKS."""
    schemas = {}
    for path in sorted((ROOT / "config").glob("*.c")):
        text = path.read_text()
        tables = dict(TABLE.findall(text))
        for schema, table in SCHEMA.findall(text):
            assert schema not in schemas, f"two schemas {schema}"
            schemas[schema] = fields_of(tables[table])
    shared = (ROOT / "config" / "schema_tables.h").read_text().replace("\\\n", " ")
    proxy, client = (re.search(rf"#define {name}(.*?)#define", shared, re.S)[1]
                     for name in ("PROXY_FIELDS", r"HTTP_CLIENT_FIELDS_HTTP2\(http2\)"))
    mechanisms = re.findall(r"\bX\((\w+)\)", re.search(r"DISCOVERY_MECHANISMS\(X\)(.*?)/\*", shared,
                                                      re.S)[1])
    schemas["proxy"] = fields_of(proxy)
    schemas["HTTP client"] = fields_of(client)
    schemas["discovery"] = [Field(f"{name}_sd_configs", "OBJECTS", f"{name}_sd", None)
                            for name in mechanisms]
    schemas["discovery"].append(Field("static_configs", "OBJECTS", "target_group", None))
    return schemas


def running_mechanisms():
    text = (ROOT / "config" / "config_discovery.c").read_text()
    return {f"{name}_sd_configs" for name in re.findall(r'STR_INIT\("(\w+)"\)', text)} | {
        "static_configs"}


def cells(line):
    return [cell.strip() for cell in line.replace(r"\|", "¦").strip().strip("|").split("|")]


def read_page():
    """({schema: {key: default cell}}, {path: {key…}})"""
    tables, sections, into = {}, {}, None
    for line in PAGE.read_text().split("\n"):
        marker = re.match(r"<!-- keys(?:: ([\w ]+)| of sections:) -->", line)
        if marker:
            into = sections if marker[1] is None else tables.setdefault(marker[1], {})
        elif line.startswith("| `") or line.startswith("| *"):
            row = cells(line)
            key = row[0].strip("`*")
            assert into is not None and key not in into, f"twice, or in no table: {line}"
            into[key] = set(re.findall(r"[`*]([\w ]+)[`*]", row[1])) if into is sections else row[1]
        elif not line.startswith("|") and line:
            into = None
    return tables, sections


def schema_at(schemas, path):
    """Schema of "remote_write.queue_config"; discovery sections need no path."""
    parts = path.split(".")
    schema = "discovery" if parts[0].endswith("_sd_configs") else "root"
    for part in parts:
        schema = next((f.schema for f in schemas[schema] if f.name == part), None)
        assert schema is not None, f"{path}: there is no such section"
    return schema


def compare(what, wanted, found):
    for key in sorted(wanted - found):
        yield f"{what}: {key} is missing"
    for key in sorted(found - wanted):
        yield f"{what}: there is no {key}"


def check_defaults(schema, fields, table):
    for field in fields:
        wanted = field.fallback or ("false" if field.kind == "BOOL" else None)
        if wanted and field.name in table and f"`{wanted}`" not in table[field.name]:
            yield f"{schema}: the default of {field.name} is {wanted}"


def main():
    schemas = read_schemas()
    tables, sections = read_page()
    by_path = {path: schema_at(schemas, path) for path in sections}
    problems = []
    for schema, fields in schemas.items():
        if schema not in tables and schema not in by_path.values():
            problems.append(f"schema {schema} is described nowhere")
    for schema, table in tables.items():
        if schema not in schemas:
            problems.append(f"the page describes {schema}, which is no schema")
            continue
        wanted = running_mechanisms() if schema == "discovery" else {
            f.name for f in schemas[schema]}
        problems += compare(schema, wanted, set(table))
        problems += check_defaults(schema, schemas[schema], table)
    for path, keys in sections.items():
        problems += compare(path, {f.name for f in schemas[by_path[path]]}, keys)
    elsewhere = {f.name for f in schemas["discovery"]} - running_mechanisms()
    problems += compare("discovery that does not run", elsewhere,
                        {path for path in sections if path.endswith("_sd_configs")})
    for problem in problems:
        print(f"docs/configuration.md: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
