/* meminfo and vmstat: every line of /proc/meminfo, a few of /proc/vmstat. */
#include "collection.h"

/* node_memory_<key> in collection->name: "Active(anon)" becomes Active_anon, kB adds _bytes. */
static void meminfo_name(struct collection *collection, struct str key, bool in_bytes)
{
    struct strbuf *name = &collection->name;
    strbuf_clear(name);
    strbuf_add_cstr(name, "node_memory_");
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] != ')')
            strbuf_add_char(name, key.data[i] == '(' ? '_' : key.data[i]);
    }
    if (in_bytes)
        strbuf_add_cstr(name, "_bytes");
    collection__make_legal(name);
}

err_t collect__meminfo(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "meminfo", &text));
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        struct str field;
        struct str unit;
        double value;
        if (!text_cut(&line, ':', &key) || !text_next_field(&line, &field) ||
            !text_to_double(field, &value))
            continue;
        bool in_bytes = text_next_field(&line, &unit) && str_equal(unit, STR("kB"));
        meminfo_name(collection, key, in_bytes);
        collection__single(collection, strbuf_cstr(&collection->name), METRIC_GAUGE,
                           "Memory information of the kernel, from /proc/meminfo.",
                           in_bytes ? value * 1024 : value);
    }
    return OK;
}

static bool vmstat_is_wanted(struct str key)
{
    if (str_starts_with(key, STR("oom_kill")) || str_starts_with(key, STR("pgpg")) ||
        str_starts_with(key, STR("pswp")))
        return true;
    if (!str_starts_with(key, STR("pg")))
        return false;
    struct str fault = STR("fault");
    for (size_t at = 2; at + fault.size <= key.size; at++) {
        if (str_starts_with(str_from(key.data + at, key.size - at), fault))
            return true;
    }
    return false;
}

err_t collect__vmstat(struct collection *collection)
{
    struct str text;
    TRY(collection__read_proc(collection, "vmstat", &text));
    for (struct str line; text_next_line(&text, &line);) {
        struct str key;
        struct str field;
        double value;
        if (!text_next_field(&line, &key) || !vmstat_is_wanted(key) ||
            !text_next_field(&line, &field) || !text_to_double(field, &value))
            continue;
        strbuf_clear(&collection->name);
        strbuf_printf(&collection->name, "node_vmstat_%.*s", STR_ARG(key));
        collection__make_legal(&collection->name);
        collection__single(collection, strbuf_cstr(&collection->name), METRIC_UNTYPED,
                           "A field of /proc/vmstat.", value);
    }
    return OK;
}
