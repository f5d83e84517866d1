#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""selftest.py ROOT CC: plants one violation of each rule in a copy of the tree and demands that lint finds it."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import lint

HERE = os.path.dirname(os.path.abspath(__file__))
LICENCE = "/* SPDX-License-Identifier: BSD-3-Clause */\n"


def append(path, text):
    def plant(root):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        new = not os.path.exists(os.path.join(root, path))
        with open(os.path.join(root, path), "a", encoding="utf-8") as file:
            file.write((LICENCE if new and path.endswith((".c", ".h")) else "") + text + "\n")
    return plant


def replace(path, pattern, text):
    def plant(root):
        full = os.path.join(root, path)
        with open(full, encoding="utf-8") as file:
            before = file.read()
        after = re.sub(pattern, text, before, count=1, flags=re.M)
        assert after != before, f"nothing to plant in {path}: {pattern}"
        with open(full, "w", encoding="utf-8") as file:
            file.write(after)
    return plant


def bare(root):
    with open(os.path.join(root, "src/base/bare.c"), "w", encoding="utf-8") as file:
        file.write("int vshmi_bare;\n")


# (rule, what must be in the finding, how to plant it)
PLANTED = [
    ("layers", "ring may not include region", append("src/ring/bad.c", '#include "region/region.h"')),
    ("layers", "base may not include os", append("src/base/bad.c", '#include "os/os.h"')),
    ("layers", "shared may not include wire", append("src/shared/shared.h", '#include "wire/wire.h"')),
    ("layers", "is private to shared", append("src/region/bad.c", '#include "shared/hooks.h"')),
    ("layers", "freestanding and may not include <stdio.h>", append("src/wire/bad.c", "#include <stdio.h>")),
    ("layers", 'not written as "module/header.h"', append("src/os/bad.c", '#include "os.h"')),
    ("layers", "discover may not include base", append("src/discover/bad.c", '#include "base/base.h"')),
    ("layers", "no such module", append("src/misc/bad.c", "")),
    ("layer_table", "about ring", replace("src/README.md", r"\| wire shared base \|$", "| shared base |")),
    ("public_only", "is not public", append("examples/bad.c", '#include "wire/wire.h"')),
    ("public_only", "is not public", append("cli/bad.c", '#include "base/base.h"')),
    ("public_only", "is not public", append("tests/api/bad.c", '#include "region/region.h"')),
    ("public_only", "public header may not include", append("include/vshm/bad.h", "#include <stdio.h>")),
    ("size", "must be less than 800", append("src/base/bad.c", "\n" * 800)),
    ("size", "must be less than 150", append("examples/bad.c", "\n" * 150)),
    ("listed", "src/ring/bad.c", append("src/ring/bad.c", "")),
    ("listed", "cli/gone.c", replace("cli/CMakeLists.txt", r"vshmctl\.c", "vshmctl.c gone.c")),
    ("spdx", "src/base/bare.c", bare),
    ("top_level", "notes.txt", append("notes.txt", "")),
    ("allocator", "malloc() outside src/os", append("src/region/bad.c", "void *p(void) { return malloc(1); }")),
    ("allocator", "free() outside src/os", append("src/wait/bad.c", "void p(void *q) { free (q); }")),
    ("allocator", "calloc() outside src/os", append("src/discover/bad.c", "void *p(void) { return calloc(1, 1); }")),
    ("no_abort", "abort() in the library", append("src/os/bad.c", "void p(void) { abort(); }")),
    ("no_abort", "assert() in the library", append("src/ring/bad.c", "void p(int x) { assert(x); }")),
    ("shared_words", "shared_", append("src/ring/bad.c", "int p(struct vshmi_word32 *w) { return w->shared_; }")),
    ("shared_words", "volatile", append("src/region/bad.c", "int p(volatile int *w) { return *w; }")),
    ("shared_words", "(uint32_t *)", append("src/end/bad.c", "uint32_t p(void *w) { return *(uint32_t *)w; }")),
    ("shared_words", "(const struct vshm_entry *)",
     append("src/wait/bad.c", "uint64_t p(const void *w) { return ((const struct vshm_entry *)w)->id; }")),
    ("map", "vshm_version() is not in", replace("pkg/libvshm.map", r"^\tvshm_version;\n", "")),
    ("map", "vshm_gone is exported", replace("pkg/libvshm.map", r"^\tvshm_version;", "\tvshm_version;\n\tvshm_gone;")),
    ("map", "vshm_discover() is not in", replace("pkg/libvshm-discover.map", r"^\tvshm_discover;\n", "")),
    ("map", "vshm_version is exported", replace("pkg/libvshm-discover.map", r"^\tvshm_discover;", "\tvshm_discover;\n\tvshm_version;")),
    ("declared", "without VSHM_API", append("include/vshm/bad.h", "int vshm_forgotten(int x);")),
    ("defined", "has 0 definitions", append("include/vshm/bad.h", "VSHM_API int vshm_stub(void);")),
    ("documented", "is not mentioned", replace("pkg/man/vshm.7.scd", r"vshm_version\*\(\)", "that*()")),
    ("documented", "is not explained", replace("pkg/man/vshm_layout.5.scd", r"pid_namespace", "namespace")),
    ("error_codes", "ESTALE is not explained", replace("pkg/man/vshm.7.scd", r"(?s)\A(.*)\Z",
                                                       lambda match: match.group(1).replace("ESTALE", "E_STALE"))),
    ("error_codes", "-ENFILE is not in the list", append("src/region/bad.c", "int p(void) { return -ENFILE; }")),
    ("tested", "is called by no test", append("include/vshm/bad.h", "VSHM_API int vshm_untested(void);")),
    ("version", "does not begin with version", replace("pkg/CHANGELOG.md", r"^## \S+", "## 9.9.9")),
]

# Sources that the compiled library must not contain: (object's module, source, what objects.py says)
COMPILED = [
    ("ring", "#include <stdlib.h>\nvoid vshmi_bad(int x);\nvoid vshmi_bad(int x) { if (x) abort(); }", "calls abort()"),
    ("wait", "#include <assert.h>\nvoid vshmi_bad(int x);\nvoid vshmi_bad(int x) { assert(x); }", "__assert_fail()"),
    ("region", "#include <stdlib.h>\nvoid *vshmi_bad(void);\nvoid *vshmi_bad(void) { return calloc(1, 9); }",
     "only src/os allocates"),
    ("base", "#include <unistd.h>\nint vshmi_bad(void);\nint vshmi_bad(void) { return getpid(); }",
     "builds without an operating system"),
    ("discover", "#include <stdlib.h>\nvoid *vshmi_bad(void);\nvoid *vshmi_bad(void) { return malloc(9); }",
     "only src/os allocates"),
    ("os", "int send_all(void);\nint send_all(void) { return 1; }", "could clash"),
]


# What pages.py must find: (what it says, how to plant it)
PAGES = [
    ("vshm_new() is not in the synopsis", append("include/vshm/ring.h", "VSHM_API int vshm_new(void);")),
    ("region.h has no page", lambda root: os.remove(os.path.join(root, "pkg/man/vshm_region.3.scd"))),
    ("vshm_region_register() is not explained", replace("pkg/man/vshm_region.3.scd", r"^## vshm_region_register$", "## other")),
    ("vshm_region_evict(): EBUSY is in vshm/region.h",
     replace("pkg/man/vshm_region.3.scd", r"EBUSY \(it lives", "EAGAIN (it lives")),
    ("vshm_ring.3.scd: synopsis: ",
     replace("pkg/man/vshm_ring.3.scd", r"^size_t vshm_producer_max", "int vshm_producer_max")),
    ("vshm_region.3.scd: examples: ", replace("pkg/man/vshm_region.3.scd", r"create\.size = ", "create.bytes = ")),
    ("vshm.7.scd: example: ", replace("pkg/man/vshm.7.scd", r"record\.data", "record.bytes")),
]


def copy_tree(root, scratch):
    tree = os.path.join(scratch, "tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(root, tree, ignore=shutil.ignore_patterns(".git", "build", "__pycache__"))
    return tree


def found_in_source(root, scratch, rule, wanted, plant):
    tree = copy_tree(root, scratch)
    before = set(lint.run(tree, [rule]))
    plant(tree)
    return any(wanted in line for line in set(lint.run(tree, [rule])) - before)


def found_in_object(compiler, scratch, module, source, wanted):
    place = os.path.join(scratch, "src", module)
    os.makedirs(place, exist_ok=True)
    path, archive = os.path.join(place, "bad.c"), os.path.join(scratch, "bad.a")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    if os.path.exists(archive):
        os.remove(archive)
    subprocess.run([compiler, "-g", "-O1", "-c", path, "-o", path + ".o"], check=True)
    subprocess.run(["ar", "rc", archive, path + ".o"], check=True)
    done = subprocess.run([sys.executable, os.path.join(HERE, "objects.py"), archive], capture_output=True, text=True,
                          check=False)
    return done.returncode == 1 and wanted in done.stdout


def found_in_manual(root, compiler, scratch):
    tree = copy_tree(root, scratch)
    replace("pkg/man/vshm_layout.5.scd", r"^\|  136\n", "|  144\n")(tree)
    done = subprocess.run([sys.executable, os.path.join(HERE, "offsets.py"), tree, compiler], capture_output=True,
                          text=True, check=False)
    return done.returncode == 1 and "segment_size" in done.stdout


def found_in_pages(root, compiler, scratch, wanted, plant):
    tree = copy_tree(root, scratch)
    plant(tree)
    done = subprocess.run([sys.executable, os.path.join(HERE, "pages.py"), tree, compiler], capture_output=True,
                          text=True, check=False)
    return done.returncode == 1 and wanted in done.stdout


def main(arguments):
    root, compiler = arguments
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        results = [(f"{rule}: {wanted}", found_in_source(root, scratch, rule, wanted, plant))
                   for rule, wanted, plant in PLANTED]
        results += [(f"objects: {module}: {wanted}", found_in_object(compiler, scratch, module, source, wanted))
                    for module, source, wanted in COMPILED]
        results += [(f"pages: {wanted}", found_in_pages(root, compiler, scratch, wanted, plant))
                    for wanted, plant in PAGES]
        results.append(("offsets: a wrong offset", found_in_manual(root, compiler, scratch)))
    for what, found in results:
        passed, failed = passed + found, failed + (not found)
        if not found:
            print(f"NOT FOUND: {what}")
    missing = set(lint.RULES) - {rule for rule, _, _ in PLANTED}
    if missing:
        failed += 1
        print(f"nothing is planted for: {' '.join(sorted(missing))}")
    print(f"checks: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
