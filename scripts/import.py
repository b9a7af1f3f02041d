#!/usr/bin/env python3
"""Prints groups of a host file for the rules of other programs, and a comment for each that cannot be translated.

  scripts/import.py fail2ban [--journal | --log PATH] [--folder FOLDER] FILTER...
  scripts/import.py logcheck [--journal | --log PATH] FILE...

FILTER is the name of a filter, such as sshd, or its file. With fail2ban installed, its own reader is used; without, one that knows
includes, %(name)s and <name>. FILE is a file of logcheck's: the name of its folder says what its patterns are for.
"""

import argparse
import configparser
import re
import sys
from pathlib import Path

try:
    import re._parser as sre
except ImportError:
    import sre_parse as sre

# The time in front of a line, in most of the forms that fail2ban knows by itself.
DATE = (r"(?:[\w ,./:+-]{0,15}\d\d:\d\d:\d\d[\d.,:+Z-]*(?: \d{4}| [+-]\d{4}| [AP]M)?|\d{10}[.\d]*|@[0-9a-f]{24})")
ADDRESS = r"\[?(?:(?:::f{4,6}:)?(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:))\]?"
HOST_TAGS = {
    "HOST": ADDRESS + r"|[\w\-.^_]*\w",
    "ADDR": ADDRESS,
    "IP4": r"(?:\d{1,3}\.){3}\d{1,3}",
    "IP6": r"\[?(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:)\]?",
    "DNS": r"[\w\-.^_]*\w",
    "CIDR": r"\d+",
    "SUBNET": ADDRESS + r"|[\w\-.^_]*\w(?:/\d+)?",
}
# How the patterns of logcheck in Debian begin: a line of the journal has neither time nor host.
LOGCHECK_PREFIX = re.compile(r"^\^\(?(?:\\w|\[\[:alpha:\]\])\{3\} \[ :(?:\[:digit:\]|0-9)\]\{11\}(?:\|\[0-9T:.+-\]\{32\}\))? \[\._\[:alnum:\]-\]\+ ")


class Untranslatable(Exception):
    """Why a pattern has no counterpart."""


class Uncounted(Untranslatable):
    """Lines that a part of a pattern is for count only together with others."""


class Pattern:
    """A pattern in the syntax of host files. `wider` names what it cannot say, so that it matches more lines than it should."""

    def __init__(self, text, wider=()):
        self.text, self.wider = text, sorted(set(wider))


# --- The patterns of Python, for fail2ban -------------------------------------------------------------------------------------------

CATEGORIES = {"CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
              "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W"}
PLACES = {"AT_BEGINNING": "^", "AT_END": "$", "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B", "AT_BEGINNING_STRING": r"\A",
          "AT_END_STRING": r"\z"}


class PythonPattern:
    """Writes a pattern of Python's `re` anew, from its syntax tree."""

    def __init__(self, text):
        try:
            self.tree = sre.parse(text)
        except (re.error, OverflowError) as e:
            raise Untranslatable(f"Python does not take it: {e}") from e
        self.names = {number: name for name, number in self.tree.state.groupdict.items()}
        self.wider = []

    def translate(self):
        text = self.sequence(self.tree)
        flags = self.tree.state.flags
        if flags & re.VERBOSE or flags & re.MULTILINE:
            raise Untranslatable("it sets the flag x or m")
        return Pattern(("(?i)" if flags & re.IGNORECASE else "") + text, self.wider)

    def sequence(self, items):
        return "".join(self.item(str(op), value) for op, value in items)

    def item(self, op, value):
        if op == "LITERAL":
            return literal(value)
        if op == "NOT_LITERAL":
            return f"[^{in_class(value)}]"
        if op == "ANY":
            return "."
        if op == "AT":
            return PLACES[str(value)]
        if op == "IN":
            return self.char_class(value)
        if op == "BRANCH":
            return self.branches(value[1])
        if op == "SUBPATTERN":
            return self.group(*value)
        if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self.repeat(op, *value)
        if op == "ATOMIC_GROUP":
            return "(?:" + self.sequence(value) + ")"
        if op in ("ASSERT", "ASSERT_NOT"):
            self.wider.append("look-around")
            return ""
        if op == "GROUPREF":
            self.wider.append("a reference to a group")
            return ".*"
        if op == "GROUPREF_EXISTS":
            self.wider.append("a condition on a group")
            return "(?:" + self.sequence(value[1]) + "|" + self.sequence(value[2] or []) + ")"
        raise Untranslatable(f"it has {op}")

    def branches(self, branches):
        texts = []
        for branch in branches:
            try:
                texts.append(self.sequence(branch))
            except Uncounted as e:
                uncounted = e
                # Another alternative may match the same.
                self.wider.append("what such lines would cancel")
        if not texts:
            raise uncounted
        return "(?:" + "|".join(texts) + ")"

    def group(self, number, add, remove, items):
        if self.names.get(number) in ("nofail", "mlfgained"):
            raise Uncounted("such lines count only together with others")
        if remove or add & ~re.IGNORECASE:
            raise Untranslatable("it sets flags within a group")
        start = "(?P<host>" if self.names.get(number) == "host" else "(?i:" if add else "(?:"
        return start + self.sequence(items) + ")"

    def repeat(self, op, least, most, items):
        try:
            inner = self.sequence(items)
        except Uncounted:
            if least > 0:
                raise
            return ""
        if not inner:
            return ""
        if len(items) > 1 or str(items[0][0]).endswith("REPEAT"):
            inner = f"(?:{inner})"
        most = None if most == sre.MAXREPEAT else int(most)
        plain = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
        if plain is None:
            plain = "{%d}" % least if least == most else "{%d,%s}" % (least, "" if most is None else most)
        return inner + plain + ("?" if op == "MIN_REPEAT" else "")

    def char_class(self, items):
        parts, negated = [], False
        for op, value in items:
            op = str(op)
            if op == "NEGATE":
                negated = True
            elif op == "LITERAL":
                parts.append(in_class(value))
            elif op == "RANGE":
                parts.append(f"{in_class(value[0])}-{in_class(value[1])}")
            else:
                parts.append(CATEGORIES[str(value)])
        if len(parts) == 1 and parts[0] in CATEGORIES.values():
            return parts[0].swapcase() if negated else parts[0]
        return "[" + ("^" if negated else "") + "".join(parts) + "]"


def literal(code):
    char = chr(code)
    if char in "\n\r\t":
        return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}[char]
    return "\\" + char if char in r"\.+*?()|[]{}^$" else char


def in_class(code):
    char = chr(code)
    if char in "\n\r\t":
        return literal(code)
    return "\\" + char if char in r"\[]^-&~" else char


# --- fail2ban -----------------------------------------------------------------------------------------------------------------------

class Filter:
    """What a filter of fail2ban says, with everything put in."""

    def __init__(self, name):
        self.name, self.prefix, self.fail, self.ignore, self.journal, self.maxlines = name, None, [], [], [], 1

    @staticmethod
    def read(name, folder, reader, logtype="file"):
        """Reads a filter by that reader of fail2ban, or by itself."""
        path = Path(name)
        if path.suffix == ".conf" and path.exists():
            folder, name = path.resolve().parent.parent, path.stem
        return Filter.by_fail2ban(reader, name, folder, logtype) if reader else Filter.by_itself(name, Path(folder) / "filter.d", logtype)

    @staticmethod
    def by_fail2ban(reader_class, name, folder, logtype):
        reader = reader_class(name, "jail", {"logtype": logtype}, basedir=str(folder))
        if not reader.read():
            raise SystemExit(f"there is no filter {name} in {folder}/filter.d")
        reader.getOptions(None)
        found = Filter(name)
        for command in reader.convert():
            values = command[3] if isinstance(command[3], list) else command[3:]
            if command[2] == "prefregex":
                found.prefix = values[0]
            elif command[2] == "maxlines":
                found.maxlines = int(values[0])
            elif command[2] == "addfailregex":
                found.fail += values
            elif command[2] == "addignoreregex":
                found.ignore += values
            elif command[2] == "addjournalmatch":
                found.journal += values
        return found

    @staticmethod
    def by_itself(name, folder, logtype):
        known = {}
        read_sections(folder, name + ".conf", known)
        values = {**known.get("DEFAULT", {}), **known.get("Definition", {}), **known.get("Init", {}), "logtype": logtype}
        found = Filter(name)

        def put_in(match):
            section, _, key = match[1].rpartition("/")
            return known[section].get(key, match[0]) if section in known else values.get(match[1].removeprefix("known/"), match[0])

        def value_of(key):
            text = values.get(key, "")
            for _ in range(50):
                before = text
                text = re.sub(r"%\(([\w/?-]+)\)s", put_in, text)
                text = re.sub(r"<([a-z_][\w/-]*)>", put_in, text)
                if text == before:
                    return text.replace("%%", "%")
            raise SystemExit(f"{name}: {key} contains itself")

        found.prefix = value_of("prefregex") or None
        found.maxlines = int(value_of("maxlines") or 1)
        found.fail = [line.strip() for line in value_of("failregex").split("\n") if line.strip()]
        found.ignore = [line.strip() for line in value_of("ignoreregex").split("\n") if line.strip()]
        found.journal = value_of("journalmatch").split()
        return found

    def translated(self, text, with_date):
        """The pattern for one of `fail`; `with_date` puts the time back that fail2ban takes out of a line."""
        if "<SKIPLINES>" in text or self.maxlines > 1 and r"\n" in text:
            raise Untranslatable("it spans several lines")
        whole = self.within_prefix(text) if self.prefix else text
        if not re.search(r"<(HOST|ADDR|IP4|IP6|DNS|CIDR|SUBNET|F-ID/?)>|\(\?P<host>", whole):
            raise Uncounted("such lines name no host, and count only together with others")
        return self.in_line(whole, with_date)

    @staticmethod
    def in_line(text, with_date):
        pattern = PythonPattern(untag(text)).translate()
        if with_date:
            pattern.text = pattern.text.replace(r"\[\]", r"\[[^\]]*\]")
            if pattern.text.startswith("^"):
                pattern.text = r"^(?:\[?" + DATE + r"\]?)?" + pattern.text[1:]
        return pattern

    def within_prefix(self, text):
        before, found, after = self.prefix.partition("<F-CONTENT>")
        _, closed, after = after.partition("</F-CONTENT>")
        if not found or not closed:
            raise Untranslatable("its prefix names no content")
        start, body = (before, text[1:]) if text.startswith("^") else (before + ".*", text)
        # Python takes a flag for all only at the start.
        body = f"(?i:{body[4:]})" if body.startswith("(?i)") else f"(?:{body})"
        return start + body + ("" if after in ("", "$") else ".*" + after)

    def group(self, options):
        """The lines of a group."""
        lines, counts = [f"# The filter {self.name} of fail2ban."], Counts()
        matches = translate_all(self.fail, lambda text: self.translated(text, not options.journal), lines, "match", counts)
        ignores = translate_all(self.ignore, lambda text: self.in_line(text, not options.journal), lines, "ignore", counts)
        if not matches:
            return lines + ["# Nothing of it can be translated.", ""], counts
        unit = [word.partition("=")[2] for word in self.journal if word.startswith("_SYSTEMD_UNIT=")]
        only_units = unit and len(unit) == len([word for word in self.journal if word != "+"])
        opener = f"journal: {' '.join(unit) if only_units else ''}".rstrip() if options.journal else f"file: {options.log}"
        tags = re.sub(r"[^\w-]", "_", self.name).upper()
        alert = f"alert_n: tags=FAIL2BAN,{tags} threshold=4 seconds=600 message={self.name}: more than 4 failures in 10 minutes"
        return lines + [opener, *matches, *ignores, alert, ""], counts


def fail2ban_reader():
    for folder in (None, "/usr/lib/python3/dist-packages"):
        if folder and folder not in sys.path:
            sys.path.append(folder)
        try:
            from fail2ban.client.filterreader import FilterReader
            return FilterReader
        except ImportError:
            pass
    return None


def read_sections(folder, name, known):
    """Adds the sections of a file and of those that it includes."""
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"), inline_comment_prefixes=None)
    parser.optionxform = str
    if not parser.read(folder / name):
        raise SystemExit(f"there is no {folder / name}")
    includes = dict(parser["INCLUDES"]) if parser.has_section("INCLUDES") else {}
    if "before" in includes:
        read_sections(folder, includes["before"], known)
    known.setdefault("DEFAULT", {}).update(parser.defaults())
    for section in parser.sections():
        known.setdefault(section, {}).update(parser[section])
    after = includes.get("after")
    if after and (folder / after).exists():
        read_sections(folder, after, known)


def untag(text):
    """The pattern with groups in place of the tags of fail2ban."""
    seen = set()

    def named(name):
        is_first = name not in seen
        seen.add(name)
        return f"(?P<{name}>" if is_first else "(?:"

    def of_tag(match):
        return ")" if match[1] else named(match[2].lower().replace("-", "_"))

    text = text.replace("<F-ID/>", r"\S+")
    text = re.sub(r"<(/?)F-([\w-]+)>", of_tag, text)
    return re.sub(r"<(HOST|ADDR|IP4|IP6|DNS|CIDR|SUBNET)>", lambda m: named("host") + HOST_TAGS[m[1]] + ")", text)


# --- logcheck -----------------------------------------------------------------------------------------------------------------------

class PosixPattern:
    """Writes an extended expression of POSIX anew."""

    ESCAPES = {"w": r"\w", "W": r"\W", "s": r"\s", "S": r"\S", "b": r"\b", "B": r"\B", "<": r"\b", ">": r"\b", "`": r"\A", "'": r"\z"}

    def __init__(self, text):
        self.text, self.at, self.out = text, 0, []

    def translate(self):
        repeatable = False
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == "\\":
                self.out.append(self.escape())
            elif char == "[":
                self.out.append(self.char_class())
            elif char in "*+?" and not repeatable:
                # At the start of an expression it stands for itself.
                self.out.append("\\" + char)
            elif char == "{":
                bound = re.match(r"\d*(,\d*)?\}", self.text[self.at:])
                if repeatable and bound and bound[0] not in ("}", ",}"):
                    self.out.append("{" + ("0" if bound[0].startswith(",") else "") + bound[0])
                    self.at += bound.end()
                else:
                    self.out.append(r"\{")
            elif char in "}]":
                self.out.append("\\" + char)
            else:
                self.out.append(char)
            repeatable = char not in "(|^"
        return Pattern("".join(self.out))

    def escape(self):
        char = self.text[self.at:self.at + 1]
        self.at += 1
        if char.isdigit():
            raise Untranslatable("it refers to a group")
        if char in self.ESCAPES:
            return self.ESCAPES[char]
        return literal(ord(char)) if char else r"\\"

    def char_class(self):
        start = self.at
        end = start + (1 if self.text[start:start + 1] == "^" else 0)
        out = "[^" if end > start else "["
        is_first = True
        while end < len(self.text):
            char = self.text[end]
            named = re.match(r"\[:\w+:\]", self.text[end:])
            if named:
                out += named[0]
                end += named.end()
            elif char == "]" and not is_first:
                self.at = end + 1
                return out + "]"
            else:
                between = 0 < end - start and self.text[end + 1:end + 2] not in ("]", "") and not is_first and char == "-"
                out += "-" if between else in_class(ord(char))
                end += 1
            is_first = False
        raise Untranslatable("a class in it does not end")


def logcheck_group(path, options):
    """The lines of a group for a file of logcheck."""
    path, counts = Path(path), Counts()
    kind = path.resolve().parent.name
    texts = [line.rstrip("\n") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    texts = [text for text in texts if text.strip() and not text.lstrip().startswith("#")]
    lines = [f"# The file {path.name} of {kind} of logcheck."]

    def translated(text):
        # A directive begins and ends without white space.
        text = re.sub(r"^ | $", "[ ]", text)
        if options.journal:
            text = LOGCHECK_PREFIX.sub("^", text)
        return PosixPattern(text).translate()

    opener = "journal:" if options.journal else f"file: {options.log}"
    is_ignore = "ignore" in kind
    patterns = translate_all(texts, translated, lines, "ignore" if is_ignore else "match", counts)
    tags = re.sub(r"[^\w-]", "_", path.name).upper()
    if not patterns:
        return lines + ["# Nothing of it can be translated.", ""], counts
    return lines + [opener, *(["match: ."] if is_ignore else []), *patterns, f"alert_all: tags=LOGCHECK,{tags}", ""], counts


# --- Both ---------------------------------------------------------------------------------------------------------------------------

class Counts:
    """How many patterns were translated, how many of these are wider, and how many were left out."""

    def __init__(self):
        self.translated, self.wider, self.left_out = 0, 0, 0


def translate_all(texts, translated, lines, directive, counts):
    """The directives for these patterns. Comments about them go to `lines`."""
    directives = []
    for text in texts:
        try:
            pattern = translated(text)
        except Untranslatable as reason:
            counts.left_out += 1
            lines.append(f"# Left out, since {reason}: {shown(text)}")
            continue
        counts.translated += 1
        if pattern.wider:
            counts.wider += 1
            lines.append(f"# Wider than it was, without {' and '.join(pattern.wider)}: {shown(text)}")
        if f"{directive}: {pattern.text}" not in directives:
            directives.append(f"{directive}: {pattern.text}")
    return directives


def shown(text):
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:200] + "…"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=["fail2ban", "logcheck"])
    parser.add_argument("--journal", action="store_true", help="for the journal of systemd, whose lines have no time and host")
    parser.add_argument("--log", default="/var/log/syslog", help="the log that the groups follow (/var/log/syslog)")
    parser.add_argument("--folder", default="/etc/fail2ban", help="where fail2ban's configuration is (/etc/fail2ban)")
    parser.add_argument("--own-reader", action="store_true", help="read filters without fail2ban even if it is installed")
    parser.add_argument("names", nargs="+", metavar="FILTER|FILE")
    options = parser.parse_args(arguments)
    reader = None if options.own_reader else fail2ban_reader()
    for name in options.names:
        if options.program == "fail2ban":
            lines, counts = Filter.read(name, options.folder, reader, "journal" if options.journal else "file").group(options)
        else:
            lines, counts = logcheck_group(name, options)
        print("\n".join(lines))
        wider = f", {counts.wider} of them wider" if counts.wider else ""
        print(f"{name}: {counts.translated} patterns{wider}; {counts.left_out} left out", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
