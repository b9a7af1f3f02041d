"""Following a log: the corpus is appended to a followed file, and each program reads and matches all of it.

aa436 has three rules on the file, all others one. Every result is checked: the counts must be those of grep -c, and since the last line
of the corpus matches, they are complete only when everything was read."""

import os
import shutil
import signal
import subprocess

import corpus
from lab import Failure, Site, median, say, table, until

# Name, the patterns of the three rules, and the same as a POSIX expression for the others.
LITERAL, REGEX, ALTERNATION = "segfault", r"\[[0-9]+\]: (error|timeout)", "authentication failure|segfault at 0x[0-9a-f]+"
WORKLOADS = [
    ("literal", [LITERAL] * 3, LITERAL),
    ("regex", [REGEX] * 3, REGEX),
    ("alternation", [ALTERNATION] * 3, ALTERNATION),
    ("digits", [r"\d+"] * 3, "[0-9]+"),
    ("two words", [r"^\S+ \S+"] * 3, "^[^ ]+ [^ ]+"),
    ("seven digits", ["[0-9]{7}"] * 3, "[0-9]{7}"),
    ("assignment", ["[a-z]+=[0-9]+"] * 3, "[a-z]+=[0-9]+"),
    ("all three", [LITERAL, REGEX, ALTERNATION], f"{LITERAL}|{REGEX}|{ALTERNATION}"),
]


class Workload:
    def __init__(self, name, patterns, posix, log):
        self.name, self.patterns, self.posix, self.log = name, patterns, posix, log
        # How many lines each rule must find, and how many the one pattern of the other programs must find.
        self.expected = [grep(log, to_posix(pattern))[0] for pattern in patterns]
        self.matching = grep(log, posix)[0]


def to_posix(pattern):
    return pattern.replace(r"\d", "[0-9]")


def grep(log, pattern):
    """Lines found by grep -cE in the corpus as a file, and the child's resource usage."""
    read, write = os.pipe()
    child = subprocess.Popen(["grep", "-cE", pattern, log], stdout=write, env={**os.environ, "LC_ALL": "C"})
    os.close(write)
    with os.fdopen(read) as output:
        count = int(output.read())
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return count, usage


def measure_grep(_, work):
    count, usage = grep(work.log, work.posix)
    check(work, count)
    return usage.ru_utime + usage.ru_stime, None


def measure_tail_grep(lab, work):
    """tail ends when the process of --pid has ended and everything is read. Then grep ends too, and prints its count."""
    log = os.path.join(lab.new_folder("tail"), "followed.log")
    open(log, "w", encoding="ascii").close()
    lasts = lab.start(["sleep", "600"])
    read, write = os.pipe()
    counted = log + ".count"
    with open(counted, "w", encoding="ascii") as output:
        tail = lab.start(["tail", "-n", "+1", "-F", f"--pid={lasts.id}", log], stdout=write)
        search = lab.start(["grep", "-cE", work.posix], stdin=read, stdout=output)
    os.close(read)
    os.close(write)
    until("tail opens its file", lambda: tail.has_open(log))
    before = tail.cpu() + search.cpu()
    append(work.log, log)
    lasts.end()
    tail.wait(120)
    search.wait(120)
    with open(counted, encoding="ascii") as output:
        check(work, int(output.read()))
    os.remove(log)
    return tail.cpu() + search.cpu() - before, None


def measure_aa436(lab, work):
    site = Site(lab)
    log = os.path.join(site.folder, "followed.log")
    open(log, "w", encoding="ascii").close()
    rules = "".join(
        f"file: {log}\nmatch: {pattern}\nalert_count: tags=COUNT{number} seconds=1\n" for number, pattern in enumerate(work.patterns)
    )
    server, agent = site.pair_at_once("nas1", rules)
    until("the agent opens the file", lambda: agent.has_open(log))
    before = agent.cpu()
    append(work.log, log)

    def counts():
        counts = [0] * len(work.patterns)
        for _, _, tags, text in site.events():
            if tags.startswith("COUNT"):
                counts[int(tags[5:])] += int(text)
        return counts

    until(f"{work.expected} lines counted", lambda: agent.poll() or all(a >= b for a, b in zip(counts(), work.expected)), 120, 0.05)
    if counts() != work.expected:
        raise Failure(f"aa436, {work.name}: counted {counts()} lines instead of {work.expected}")
    result = agent.cpu() - before, agent.peak()
    agent.end()
    server.end()
    shutil.rmtree(site.folder)
    return result


def measure_monit(lab, work):
    """Monit runs a command at the end of each cycle in which lines matched. It is stopped while the corpus is appended, so that one
    cycle reads all of it."""
    folder = lab.new_folder("monit")
    log, found, settings = (os.path.join(folder, name) for name in ("followed.log", "found", "monitrc"))
    open(log, "w", encoding="ascii").close()
    with open(settings, "w", encoding="ascii") as file:
        file.write(
            f"set daemon 1\nset log {folder}/monit.log\nset pidfile {folder}/pid\nset idfile {folder}/id\nset statefile {folder}/state\n"
            f'check file corpus with path {log}\n  if content = "{work.posix}" then exec "/usr/bin/touch {found}"\n'
        )
    os.chmod(settings, 0o700)
    monit = lab.start(["monit", "-I", "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready():
        # Monit skips what is in the file before its first cycle, so append the line again until Monit finds it.
        with open(log, "a", encoding="ascii") as file:
            file.write(corpus.LAST)
        return monit.poll() or os.path.exists(found)

    until("Monit follows the file", ready, pause=0.5)
    quiet = os.path.getsize(log)
    until("Monit has a cycle without a match", lambda: monit.poll() or "doesn't match" in tail_of(f"{folder}/monit.log"), pause=0.1)
    if monit.poll() or os.path.getsize(log) != quiet:
        raise Failure("Monit does not run")
    os.remove(found)
    before = monit.cpu()
    monit.signal(signal.SIGSTOP)
    append(work.log, log)
    monit.signal(signal.SIGCONT)
    until("Monit finds a line", lambda: monit.poll() or os.path.exists(found), 120)
    result = monit.cpu() - before, monit.peak()
    monit.end()
    shutil.rmtree(folder)
    return result


def tail_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()[-200:]
    except FileNotFoundError:
        return ""


def measure_collectd(lab, work):
    folder = lab.new_folder("collectd")
    log = os.path.join(folder, "followed.log")
    open(log, "w", encoding="ascii").close()
    with open(os.path.join(folder, "collectd.conf"), "w", encoding="ascii") as file:
        pattern = work.posix.replace("\\", "\\\\")
        file.write(
            f'BaseDir "{folder}"\nPIDFile "{folder}/pid"\nInterval 1\nHostname "nas1"\nFQDNLookup false\nReadThreads 1\nWriteThreads 1\n'
            f'TypesDB "/usr/share/collectd/types.db"\nLoadPlugin csv\nLoadPlugin tail\n<Plugin csv>\n  DataDir "{folder}/csv"\n</Plugin>\n'
            f'<Plugin tail>\n  <File "{log}">\n    Instance "log"\n    <Match>\n      Regex "{pattern}"\n      DSType "CounterInc"\n'
            '      Type "counter"\n      Instance "found"\n    </Match>\n  </File>\n</Plugin>\n'
        )
    with open(f"{folder}/output", "w", encoding="utf-8") as output:
        collectd = lab.start(["collectd", "-f", "-C", f"{folder}/collectd.conf"], stdout=output, stderr=output)

    def counted():
        try:
            values = f"{folder}/csv/nas1/tail-log"
            with open(os.path.join(values, max(os.listdir(values))), encoding="ascii") as file:
                return int(file.read().splitlines()[-1].split(",")[1])
        except (FileNotFoundError, ValueError, IndexError):
            return 0

    until("collectd opens the file", lambda: collectd.poll() or collectd.has_open(log))
    if collectd.poll():
        raise Failure(f"collectd does not run: {tail_of(folder + '/output')}")
    before = collectd.cpu()
    append(work.log, log)
    until(f"collectd counts {work.matching} lines", lambda: collectd.poll() or counted() >= work.matching, 120, 0.05)
    check(work, counted())
    result = collectd.cpu() - before, collectd.peak()
    collectd.end()
    shutil.rmtree(folder)
    return result


def append(source, target):
    with open(source, "rb") as source, open(target, "ab", buffering=0) as target:
        while block := source.read(1 << 22):
            target.write(block)


def check(work, count):
    if count != work.matching:
        raise Failure(f"{work.name}: {count} lines found instead of {work.matching}")


MEASURES = [
    ("aa436", measure_aa436, "aa436"),
    ("tail -F to grep -cE", measure_tail_grep, "tail"),
    ("grep -cE", measure_grep, "grep"),
    ("monit", measure_monit, "monit"),
    ("collectd tail", measure_collectd, "collectd"),
]


def run(lab, lines, seed, rounds, names=None):
    """Measures the workloads of these names, or all of them."""
    log = lab.path("corpus.log")
    size = corpus.write(log, lines, seed)
    measures = [(name, measure) for name, measure, command in MEASURES if command == "aa436" or shutil.which(command)]
    print(f"### Following a log: {lines:,} lines, {size / 1e6:.1f} MB, seed {seed}; medians of {rounds} rounds\n")
    rows = []
    for name, patterns, posix in [workload for workload in WORKLOADS if names is None or workload[0] in names]:
        work = Workload(name, patterns, posix, log)
        results = {name: [] for name, _ in measures}
        for turn in range(rounds):
            for program, measure in measures:
                say(f"following: {name}, round {turn + 1}, {program}")
                results[program].append(measure(lab, work))
        rows += rows_of(work, results)
    os.remove(log)
    table(["patterns", "lines found", "program", "CPU s", "aa436 / it", "peak KiB"], rows)
    return rows


def rows_of(work, results):
    """One row per program. The ratio is the median of the rounds' ratios, since the machine may be slow in one round and fast in another."""
    for program, values in results.items():
        ratios = [ours / max(theirs, 1e-9) for (ours, _), (theirs, _) in zip(results["aa436"], values)]
        memory = [memory for _, memory in values if memory]
        found = work.expected if program == "aa436" else [work.matching]
        yield [
            work.name, " + ".join(f"{count:,}" for count in found), program, f"{median([cpu for cpu, _ in values]):.3f}",
            "" if program == "aa436" else f"{median(ratios):.2f}", f"{median(memory):,.0f}" if memory else "",
        ]
