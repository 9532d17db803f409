"""What was imported comes out of narthexctl tsdb dump-openmetrics, line by line; dump selects.

    dump.py NARTHEXCTL FOLDER
"""
import decimal
import math
import os
import random
import subprocess
import sys
import tempfile

SEED = 20261122
START = 1_700_000_000


def values(random_source):
    special = ["NaN", "+Inf", "-Inf", "0", "-0", "1e+21", "1e-05", "0.1", "-123456.789",
               "1.7976931348623157e+308", "5e-324", "9007199254740993"]
    while True:
        yield random_source.choice(special)
        yield str(random_source.randrange(-10**6, 10**6))


def go_text(number):
    """As Go's %g does: the shortest digits, with an exponent below 1e-04 and from 1e+06 on."""
    if math.isnan(number) or math.isinf(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    sign, digits, exponent = decimal.Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    point = len(digits) + exponent - 1  # of the first digit
    if number != 0 and (point < -4 or point >= 6):
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point:+03d}"
    else:
        text = format(decimal.Decimal(repr(abs(number))).normalize(), "f")
        text = "0" if number == 0 else text
    return ("-" if sign else "") + text


def run(ctl, *arguments):
    done = subprocess.run([ctl, "tsdb", *arguments], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def main():
    ctl, build_folder = sys.argv[1:3]
    print(f"seed {SEED}")
    source = values(random.Random(SEED))
    keys = ["plain", '{"a name.é","a label"="1",z="2"}', 'a{x="1"}', 'a{x="2",y="b"}', r'q{t="a\\b\"c\nd"}', 'u{l="\u00e4\u20ac"}']
    lines = [f"{key} {next(source)} {START + row * 15}.{row % 1000:03d}"
             for row in range(2000) for key in keys]
    wanted = [" ".join([key, go_text(float(value)), time])
              for key, value, time in (line.rsplit(" ", 2) for line in lines)]
    with tempfile.TemporaryDirectory(dir=build_folder) as folder:
        text, data = os.path.join(folder, "in.txt"), os.path.join(folder, "data")
        with open(text, "w") as file:
            file.write("\n".join(lines) + "\n# EOF\n")
        run(ctl, "create-blocks-from", "openmetrics", text, data)
        got = run(ctl, "dump-openmetrics", data).splitlines()
        assert got[-1] == "# EOF", got[-1]
        differing = sorted(set(got[:-1]) ^ set(wanted))
        assert not differing, differing[:10]
        assert len(got) - 1 == len(wanted), (len(got), len(wanted))
        one = run(ctl, "dump", '--match={__name__="a",x="2"}', f"--min-time={START * 1000}",
                  f"--max-time={START * 1000 + 15001}", data).splitlines()
        assert len(one) == 2 and one[0].startswith('{__name__="a", x="2", y="b"} ') \
            and one[0].endswith(f" {START * 1000}"), one
        with open("/dev/full", "w") as full:
            cut = subprocess.run([ctl, "tsdb", "dump", data], stdout=full, stderr=subprocess.PIPE,
                                 text=True, check=False)
        assert cut.returncode == 1 and "not all could be written" in cut.stderr, cut
        missing = subprocess.run([ctl, "tsdb", "dump", os.path.join(folder, "none")],
                                 capture_output=True, text=True, check=False)
        assert missing.returncode == 1 and "none" in missing.stderr, missing
        assert not os.path.exists(os.path.join(folder, "none"))
    print(f"{len(wanted)} samples came back")


if __name__ == "__main__":
    main()
