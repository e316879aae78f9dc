#!/usr/bin/env python3
"""Writes the answers for Windows' unattended installation: answers.py VALUES RESULT.

VALUES is what the template's `file` builder wrote: `name=value` lines.
"""

import pathlib
import string
import sys
from xml.sax.saxutils import escape

here = pathlib.Path(__file__).resolve().parent
values_file, result = map(pathlib.Path, sys.argv[1:])
values = dict(line.split("=", 1) for line in values_file.read_text().splitlines() if "=" in line)
# The last partition that disk-FIRMWARE.xml makes is the one for Windows.
firmware, partition = ("efi", 3) if values["firmware"].startswith("efi") else ("bios", 1)

fields = {name: escape(value) for name, value in values.items()}
fields["partition"] = partition
fields["disk"] = (here / f"disk-{firmware}.xml").read_text().strip()
answers = string.Template((here / "autounattend.xml").read_text()).substitute(fields)
result.parent.mkdir(parents=True, exist_ok=True)
# They contain the password.
result.touch(0o600)
result.write_text(answers.replace("\n", "\r\n"), newline="")
print(f"answers: {result} for {values['release']}, {firmware}")
