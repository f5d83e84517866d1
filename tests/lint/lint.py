#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lint.py ROOT [RULE...]: holds the source tree against its rules; exits 1 when one is broken."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules_api  # noqa: E402
import rules_source  # noqa: E402

RULES = {rule.__name__[len("rule_"):]: rule for rule in rules_source.RULES + rules_api.RULES}


def run(root, names=()):
    """Yields "path:line: message [rule]" for each finding, without repetition."""
    seen = set()
    for name in names or RULES:
        for path, line, message in RULES[name](root):
            text = f"{path}:{line}: {message} [{name}]"
            if text not in seen:
                seen.add(text)
                yield text


def main(arguments):
    if not arguments or any(name not in RULES for name in arguments[1:]):
        print(f"{__doc__}\nrules: {' '.join(RULES)}", file=sys.stderr)
        return 2
    findings = list(run(arguments[0], arguments[1:]))
    for finding in findings:
        print(finding)
    checked = arguments[1:] or list(RULES)
    broken = {finding.rsplit("[", 1)[1] for finding in findings}
    print(f"checks: {len(checked) - len(broken)} passed, {len(broken)} failed")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
