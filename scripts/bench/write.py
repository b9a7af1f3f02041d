#!/usr/bin/env python3
"""Writes figures into docs/performance.md: runs the command in a section's first line, and replaces the section by its output.

    write.py [SECTION...]      by default all sections; needs both programs in dist/ (scripts/build-all.sh)

A section begins with `<!-- begin NAME: COMMAND -->` and ends with `<!-- end NAME -->`. A command that fails does not change its section."""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "performance.md")
# The commands change these files, which does not change what they measure.
WRITTEN = ["docs/performance.md", "docs/growth.svg"]
SECTION = re.compile(r"<!-- begin (?P<name>[a-z]+): (?P<command>.+) -->\n(?P<text>.*?)<!-- end (?P=name) -->\n", re.DOTALL)


def read():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def replace(name, text):
    """Replaces the text of a section. Reads the page again, since somebody may have edited it while the command ran."""

    def section(found):
        if found["name"] != name:
            return found[0]
        return f"<!-- begin {name}: {found['command']} -->\n{text}<!-- end {name} -->\n"

    page = SECTION.sub(section, read())
    with open(PAGE + ".new", "w", encoding="utf-8") as file:
        file.write(page)
    os.replace(PAGE + ".new", PAGE)


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = re.findall(r"^(?:model name|Hardware|cpu model)\s*: (.*)", file.read(), re.MULTILINE)
    return models[0] if models else platform.machine()


def origin(command):
    """What was measured, where and when."""
    commit = output_of("git", "rev-parse", "--short", "HEAD").strip()
    if output_of("git", "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{path}" for path in WRITTEN)).strip():
        commit += " with changes"
    date = datetime.datetime.now(datetime.timezone.utc).date()
    cores = len(os.sched_getaffinity(0))
    return f"`{command}`\n\n{date}, commit {commit}; {processor()}, {cores} cores, Linux {platform.release()}\n"


def main():
    sections = {found["name"]: found["command"] for found in SECTION.finditer(read())}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", help=", ".join(sections))
    names = parser.parse_args().section or list(sections)
    if unknown := set(names) - set(sections):
        parser.error(f"docs/performance.md has no section {', '.join(sorted(unknown))}")
    failed = []
    for name in names:
        command = sections[name]
        print(f"== {name}: {command}", file=sys.stderr, flush=True)
        try:
            text = output_of("sh", "-c", f"exec {command}").strip("\n")
        except subprocess.CalledProcessError as error:
            print(f"write.py: {name}: {error}", file=sys.stderr)
            failed.append(name)
            continue
        replace(name, f"{origin(command)}\n{text}\n")
    if failed:
        sys.exit(f"write.py: not written: {', '.join(failed)}")


if __name__ == "__main__":
    main()
