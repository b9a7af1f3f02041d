#!/usr/bin/env python3
"""Translates all of Debian's fail2ban and logcheck-database with scripts/import.py, and compares what the groups match with what the
originals match: fail2ban itself and grep -E, on the lines that fail2ban ships with its tests. Writes the figures into docs/importing.md.

  scripts/checks/imports.py [--write] FOLDER     with ax436 of that folder, such as target/debug

Needs Debian's fail2ban and logcheck-database, and grep. Status 77: they are missing. Fails if a translated group does not
pass."""

import collections
import importlib.util
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAIL2BAN, LOGCHECK = Path("/etc/fail2ban"), Path("/etc/logcheck")
# Directives that agents refuse for the size of their patterns.
TOO_LARGE = []
SAMPLES = Path("/usr/lib/python3/dist-packages/fail2ban/tests/files/logs")


def load_import():
    spec = importlib.util.spec_from_file_location("importing", ROOT / "scripts/import.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def skip(reason):
    print(f"SKIP imports.py: {reason}", file=sys.stderr)
    if "PROJECT436_SKIPS" in os.environ:
        with open(os.environ["PROJECT436_SKIPS"], "a", encoding="utf-8") as skips:
            skips.write(f"SKIP imports.py: {reason}\n")
    raise SystemExit(77)


class Options:
    journal, log, folder = False, "/var/log/syslog", str(FAIL2BAN)


def matched_here(ax436, group, lines, folder):
    """The lines that a group matches, as a bag: its alert is replaced by one that repeats each line."""
    host_file, log = folder / "host", folder / "log"
    directives = [line for line in group if not line.startswith(("#", "alert_")) and line]
    host_file.write_text("\n".join(directives + ["alert_all: tags=T", ""]), encoding="utf-8")
    log.write_text("".join(line + "\n" for line in lines), encoding="utf-8", errors="replace")
    done = subprocess.run([ax436, "-T", host_file, log], capture_output=True, text=True, cwd=folder)
    too_large = [int(number) for number in re.findall(r"/host:(\d+): .*when compiled exceeds", done.stderr)]
    if too_large:
        rest = [line for number, line in enumerate(directives, 1) if number not in too_large]
        TOO_LARGE.extend(directives[number - 1] for number in too_large)
        return matched_here(ax436, rest, lines, folder) if any(line.startswith("match: ") for line in rest) else None
    if done.returncode != 0:
        raise SystemExit(f"{group[0]}: {done.stderr}")
    events = [line.split("%%", 2)[2] for line in done.stdout.splitlines() if line.startswith("T%%")]
    return collections.Counter(events)


def as_event(line):
    """A line as the text of an event."""
    return line.replace("\t", " ").strip()[:8192]


def matched_by_fail2ban(found, translated, lines):
    """The lines that fail2ban itself counts, with those of a filter's patterns that were translated."""
    from fail2ban.server.filter import Filter

    checker = Filter(None)
    # A name of a host is taken as it is: nothing is looked up.
    checker.setUseDns("raw")
    checker.prefRegex = found.prefix if found.prefix else None
    for text in translated:
        checker.addFailRegex(text)
    for text in found.ignore:
        checker.addIgnoreRegex(text)
    if found.datepattern:
        checker.setDatePattern(found.datepattern)
    matched = collections.Counter()
    for line in lines:
        try:
            if checker.processLine(line):
                matched[as_event(line)] += 1
        except Exception as e:
            raise SystemExit(f"{found.name}: fail2ban fails: {e!r}") from e
    return matched


def compare_fail2ban(importing, ax436, folder):
    import fail2ban.client.filterreader as reader

    totals, rows = collections.Counter(), []
    for path in sorted((FAIL2BAN / "filter.d").glob("*.conf")):
        if "common" in path.stem or path.stem == "ignorecommands":
            continue
        found = importing.Filter.read(path.stem, FAIL2BAN, importing.fail2ban_reader())
        if not found.fail:
            continue
        group, counts = found.group(Options)
        totals["filters"] += 1
        totals["whole"] += counts.left_out == 0 and counts.wider == 0
        totals["none"] += counts.translated == 0
        for name in ("translated", "wider", "left_out"):
            totals[name] += getattr(counts, name)
        sample = SAMPLES / path.stem
        if not sample.exists() or counts.translated == 0:
            continue
        lines = [line.rstrip("\r\n") for line in sample.read_text(encoding="utf-8", errors="replace").split("\n")]
        lines = [line for line in lines if line.strip() and not line.startswith("#")]
        base = reader.FilterReader(path.stem, "jail", {}, basedir=str(FAIL2BAN))
        base.read()
        base.getOptions(None)
        found.datepattern = next((command[3] for command in base.convert() if command[2] == "datepattern"), None)
        translated = []
        for text in found.fail:
            try:
                found.translated(text, True)
                translated.append(text)
            except importing.Untranslatable:
                pass
        here, there = matched_here(ax436, group, lines, folder), matched_by_fail2ban(found, translated, lines)
        if here is None:
            continue
        totals["lines"] += len(lines)
        totals["both"] += (here & there).total()
        more, fewer = (here - there).total(), (there - here).total()
        totals["more"] += more
        totals["fewer"] += fewer
        totals["equal"] += more + fewer == 0
        totals["compared"] += 1
        if more + fewer:
            rows.append((path.stem, more, fewer, counts.wider))
            if "-v" in sys.argv:
                for sign, bag in (("+", here - there), ("-", there - here)):
                    for line in list(bag)[:3]:
                        print(f"{path.stem} {sign} {line[:200]}")
    return totals, rows


def compare_logcheck(importing, ax436, folder, lines):
    totals = collections.Counter()
    (folder / "lines").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    for path in sorted(LOGCHECK.glob("*.d*/*")):
        kind = path.parent.name
        if "logfiles" in kind or not path.is_file():
            continue
        group, counts = importing.logcheck_group(path, Options)
        totals["files"] += 1
        totals["translated"] += counts.translated
        totals["left_out"] += counts.left_out
        if counts.translated == 0:
            continue
        # What the patterns match, whether they are to be ignored or not.
        group = [re.sub(r"^ignore: ", "match: ", line) for line in group if line != "match: ."]
        here = matched_here(ax436, group, lines, folder)
        if here is None:
            continue
        patterns = [line.rstrip("\n") for line in path.read_text(encoding="utf-8").split("\n")]
        patterns = [line for line in patterns if line.strip() and not line.lstrip().startswith("#")]
        (folder / "patterns").write_text("\n".join(patterns) + "\n", encoding="utf-8")
        grep = subprocess.run(["grep", "-aE", "-f", folder / "patterns", folder / "lines"], capture_output=True, check=False,
                              env={**os.environ, "LC_ALL": "C"})
        there = collections.Counter(as_event(line) for line in grep.stdout.decode("utf-8", "replace").splitlines())
        totals["both"] += (here & there).total()
        totals["more"] += (here - there).total()
        totals["fewer"] += (there - here).total()
        if here != there and "-v" in sys.argv:
            print(kind, path.name, (here - there).total(), (there - here).total(), list((here - there) + (there - here))[:2])
    return totals


def versions():
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "fail2ban", "logcheck-database"], capture_output=True, text=True)
    return [line.split(" ")[1] for line in said.stdout.splitlines()]


def page(fail2ban, rows, logcheck, line_count):
    fail2ban_version, logcheck_version = versions()
    lines = [
        "| | fail2ban | logcheck-database |",
        "| --- | --- | --- |",
        f"| version of Debian | {fail2ban_version} | {logcheck_version} |",
        f"| filters, files | {fail2ban['filters']} | {logcheck['files']} |",
        f"| patterns translated | {fail2ban['translated']} | {logcheck['translated']} |",
        f"| of these marked as wider | {fail2ban['wider']} | 0 |",
        f"| of these too large for an agent | {fail2ban['too large']} | {logcheck['too large']} |",
        f"| patterns left out | {fail2ban['left_out']} | {logcheck['left_out']} |",
        f"| sample lines | {fail2ban['lines']}, each with its filter | {line_count}, all with each file |",
        f"| matched by both | {fail2ban['both']} | {logcheck['both']} |",
        f"| matched only here | {fail2ban['more']} | {logcheck['more']} |",
        f"| matched only by the original | {fail2ban['fewer']} | {logcheck['fewer']} |",
        "",
        f"Of {fail2ban['compared']} filters with sample lines, {fail2ban['equal']} match the same lines. The others:",
        "",
        "| filter | only here | only by fail2ban | wider patterns |",
        "| --- | --- | --- | --- |",
        *[f"| {name} | {more} | {fewer} | {wider} |" for name, more, fewer, wider in rows],
    ]
    return "\n".join(lines)


def main():
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    ax436 = (ROOT / (arguments[0] if arguments else "target/debug") / "ax436").resolve()
    importing = load_import()
    if importing.fail2ban_reader() is None or not SAMPLES.exists() or not (LOGCHECK / "ignore.d.server").exists():
        skip("fail2ban or logcheck-database is missing. On Debian: apt-get install fail2ban logcheck-database")
    logging.disable(logging.CRITICAL)
    lines = []
    for sample in sorted(path for path in SAMPLES.iterdir() if path.is_file()):
        text = sample.read_text(encoding="utf-8", errors="replace")
        lines += [line.rstrip("\r") for line in text.split("\n") if line.strip() and not line.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        fail2ban, rows = compare_fail2ban(importing, ax436, Path(folder))
        fail2ban["too large"] = len(TOO_LARGE)
        logcheck = compare_logcheck(importing, ax436, Path(folder), lines)
    logcheck["too large"] = len(TOO_LARGE) - fail2ban["too large"]
    figures = page(fail2ban, rows, logcheck, len(lines))
    print(figures)
    document = ROOT / "docs/importing.md"
    if "--write" in sys.argv:
        text = document.read_text(encoding="utf-8")
        begin, end = "<!-- figures: scripts/checks/imports.py -->\n", "<!-- end of figures -->"
        before, rest = text.split(begin)
        document.write_text(before + begin + "\n" + figures + "\n\n" + end + rest.split(end)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
