#!/usr/bin/python3
"""Lets protobuf's conformance_test_runner of npm run on Debian 12: it was linked on a newer machine, and all that it wants of glibc 2.38 and
libstdc++ 13 are C23's names of strtol and its kin, and a function that does nothing.

    older_glibc.py RUNNER FOLDER      makes FOLDER/conformance_test_runner, a script that runs it, with what it wants preloaded

The copy in FOLDER says of those two versions that they are nice to have (VER_FLG_WEAK), and a small library has the five functions."""

import os
import struct
import subprocess
import sys

LACKING = 'GLIBC_2.38', 'GLIBCXX_3.4.32'
SHIM = '''
long __isoc23_strtol(const char *s, char **end, int base);
unsigned long __isoc23_strtoul(const char *s, char **end, int base);
long long __isoc23_strtoll(const char *s, char **end, int base);
unsigned long long __isoc23_strtoull(const char *s, char **end, int base);
void _ZSt21ios_base_library_initv(void);
extern long strtol(const char *, char **, int);
extern unsigned long strtoul(const char *, char **, int);
extern long long strtoll(const char *, char **, int);
extern unsigned long long strtoull(const char *, char **, int);
long __isoc23_strtol(const char *s, char **end, int base) { return strtol(s, end, base); }
unsigned long __isoc23_strtoul(const char *s, char **end, int base) { return strtoul(s, end, base); }
long long __isoc23_strtoll(const char *s, char **end, int base) { return strtoll(s, end, base); }
unsigned long long __isoc23_strtoull(const char *s, char **end, int base) { return strtoull(s, end, base); }
void _ZSt21ios_base_library_initv(void) { }
'''
SHT_GNU_VERNEED = 0x6ffffffe
VER_FLG_WEAK = 2


def weaken(image):
    """The ELF file's list of versions that it needs, of other files: those of LACKING become weak."""
    header = struct.unpack_from('<16sHHIQQQIHHHHHH', image)
    at, size, count = header[6], header[11], header[12]
    sections = [struct.unpack_from('<IIQQQQIIQQ', image, at + i * size) for i in range(count)]
    need = next(s for s in sections if s[1] == SHT_GNU_VERNEED)
    strings = sections[need[6]][4]
    entry, more = need[4], True
    while more:
        _, n, _, first, following = struct.unpack_from('<HHIII', image, entry)
        version = entry + first
        for _ in range(n):
            _, flags, _, name, step = struct.unpack_from('<IHHII', image, version)
            text = image[strings + name:image.index(b'\0', strings + name)].decode()
            if text in LACKING:
                struct.pack_into('<H', image, version + 4, flags | VER_FLG_WEAK)
            version += step
        more = following != 0
        entry += following


def main():
    runner, folder = sys.argv[1:]
    with open(runner, 'rb') as f:
        image = bytearray(f.read())
    weaken(image)
    copy, shim, script = f'{folder}/conformance_test_runner.elf', f'{folder}/newer-glibc.so', f'{folder}/conformance_test_runner'
    with open(copy, 'wb') as f:
        f.write(image)
    subprocess.run(['cc', '-shared', '-fPIC', '-fno-builtin', '-O1', '-std=c17', '-x', 'c', '-o', shim, '-'], input=SHIM, text=True, check=True)
    with open(script, 'w', encoding='ascii') as f:
        # Not by LD_PRELOAD, which the program that it tests would inherit.
        f.write(f'#!/bin/sh\nexec /lib64/ld-linux-x86-64.so.2 --preload {shim} {copy} "$@"\n')
    for path in copy, script:
        os.chmod(path, 0o755)


if __name__ == '__main__':
    main()
