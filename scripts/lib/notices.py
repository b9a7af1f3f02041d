"""notices.py RUSTC: writes what has to come with the programs in dist/: NOTICES, the licences of all that is linked into them;
sbom.cdx.json, the list of it (CycloneDX 1.5); and BUILD, the versions of what made them.

RUSTC is the compiler with the source of its library. zig, which brings musl, is that of the Python that runs this. The crates are those of
Cargo.lock and those that the symbols in dist/*/*.debug name, which the library brings. Equal programs make equal files: no time and no random
number is in them."""

import glob
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import ziglang

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE
OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


EXCEPTION = """
---- LLVM Exceptions to the Apache 2.0 License ----

As an exception, if, as a result of your compiling your source code, portions of this Software are embedded into an Object form of such source
code, you may redistribute such embedded portions in such Object form without complying with the conditions of Sections 4(a), 4(b) and 4(d) of
the License.

In addition, if you combine or link compiled forms of this Software with software that is licensed under the GPLv2 ("Combined Software") and if
a court of competent jurisdiction determines that the patent provision (Section 3), the indemnity provision (Section 9) or other Section of the
License conflicts with the conditions of the GPLv2, you may retroactively and prospectively choose to deem waived or otherwise exclude such
Section(s) of the License, but only in their entirety and only with respect to the Combined Software.
"""


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def licence_text(folder: Path) -> str:
    """The text of a crate's licence: MIT's where the crate lets one choose."""
    for names in ("LICENSE-MIT*", "LICENSE*", "COPYING*"):
        found = sorted(path for path in folder.glob(names) if path.is_file())
        if found:
            return found[0].read_text()
    raise SystemExit(f"notices.py: {folder} has no licence")


def apache_text() -> str:
    """The Apache License, as one of the crates brings it."""
    metadata = json.loads(output_of(os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version", "1"))
    (libc,) = (package for package in metadata["packages"] if package["name"] == "libc")
    return (Path(libc["manifest_path"]).parent / "LICENSE-APACHE").read_text()


def crates() -> dict[tuple[str, str], tuple[str, str]]:
    """Name and version of each crate with its licence, as SPDX has it, and the text."""
    cargo = os.environ.get("CARGO", "cargo")
    metadata = json.loads(output_of(cargo, "metadata", "--locked", "--format-version", "1"))
    all_of_it = {}
    registry = None
    for package in metadata["packages"]:
        # Macros run in the compiler and are in no program.
        if package["source"] and not any("proc-macro" in target["kind"] for target in package["targets"]):
            folder = Path(package["manifest_path"]).parent
            registry = folder.parent
            all_of_it[package["name"], package["version"]] = (package["license"], licence_text(folder))
    for file in glob.glob("dist/*/*.debug"):
        for name, version in re.findall(rb"/crates/[^/]+/([a-z0-9_-]+)-(\d+\.\d+\.\d+)", Path(file).read_bytes()):
            crate = (name.decode(), version.decode())
            if crate not in all_of_it:
                folder = registry / f"{crate[0]}-{crate[1]}"
                licence = re.search(r'^license = "(.*)"', (folder / "Cargo.toml").read_text(), re.M)
                all_of_it[crate] = (licence[1], licence_text(folder))
    return dict(sorted(all_of_it.items()))


def main(rustc: str) -> None:
    version = re.search(r'^version = "(.*)"', Path("Cargo.toml").read_text(), re.M)[1]
    rust = re.search(r"^release: (.*)", output_of(rustc, "-vV"), re.M)[1]
    zig = Path(ziglang.__file__).parent
    zig_version = output_of(str(zig / "zig"), "version").strip()
    musl = (zig / "lib/libc/musl/COPYRIGHT").read_text()
    linked = crates()

    parts = [("Project 436 " + version, Path("LICENSE").read_text())]
    parts += [(f"{name} {number} ({licence})", text) for (name, number), (licence, text) in linked.items()]
    parts += [
        (f"The library of Rust {rust} (MIT OR Apache-2.0)", "Copyright (c) The Rust Project contributors\n\n" + MIT),
        (f"compiler_builtins of Rust {rust} (MIT AND Apache-2.0 WITH LLVM-exception AND (MIT OR Apache-2.0))", apache_text() + EXCEPTION),
        ("musl, the C library (MIT)", musl),
        (f"The run-time library of zig {zig_version} (MIT)", (zig / "LICENSE").read_text()),
    ]
    line = "-" * 80 + "\n"
    Path("dist/NOTICES").write_text("What is linked into the programs, with its licences.\n\n" + "\n".join(f"{line}{title}\n{line}\n{text}" for title, text in parts))

    def component(kind: str, name: str, number: str, licence: str, purl: str = "") -> dict:
        found = {"type": kind, "bom-ref": purl or f"{name}@{number}", "name": name, "version": number, "licenses": [{"expression": licence}]}
        return found | ({"purl": purl} if purl else {})

    components = [component("library", name, number, licence.replace("/", " OR "), f"pkg:cargo/{name}@{number}") for (name, number), (licence, _) in linked.items()]
    components.append(component("library", "rust-std", rust, "MIT OR Apache-2.0"))
    components.append(component("library", "musl", f"zig-{zig_version}", "MIT"))
    own = component("application", "project436", version, "BSD-2-Clause", f"pkg:cargo/project436@{version}")
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [part["bom-ref"] for part in components]}],
    }
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom))}"
    Path("dist/sbom.cdx.json").write_text(json.dumps(bom, indent=2) + "\n")
    Path("dist/BUILD").write_text(f"{output_of(rustc, '--version')}zig {zig_version}\n")


if __name__ == "__main__":
    main(sys.argv[1])
