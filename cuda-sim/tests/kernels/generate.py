#!/usr/bin/env python3
"""Compiles the kernels of this folder, clean (variant 0) and with each seeded bug, to ptx/NAME.BUG.ptx.

    pip install --no-deps --target /tmp/cuda nvidia-cuda-nvrtc-cu12==12.0.140
    NVRTC=/tmp/cuda/nvidia/cuda_nvrtc/lib/libnvrtc.so.12 python3 generate.py
"""

import ctypes
import os
import pathlib
import re

HERE = pathlib.Path(__file__).parent
NVRTC = ctypes.CDLL(os.environ.get("NVRTC", "libnvrtc.so.12"))


def check(status):
    if status != 0:
        raise SystemExit(f"NVRTC error {status}")


def compile_ptx(source, name, bug):
    program = ctypes.c_void_p()
    check(NVRTC.nvrtcCreateProgram(ctypes.byref(program), source, f"/{name}.cu".encode(), 0, None, None))
    options = [b"-arch=compute_80", b"-lineinfo", f"-DBUG={bug}".encode()]
    status = NVRTC.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    if status != 0:
        check(NVRTC.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
        log = ctypes.create_string_buffer(size.value)
        check(NVRTC.nvrtcGetProgramLog(program, log))
        raise SystemExit(log.value.decode())
    check(NVRTC.nvrtcGetPTXSize(program, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(NVRTC.nvrtcGetPTX(program, ptx))
    return ptx.value.decode()


def main():
    (HERE / "ptx").mkdir(exist_ok=True)
    for path in sorted(HERE.glob("*.cu")):
        source = path.read_bytes()
        bugs = max(map(int, re.findall(rb"BUG [!=]= (\d+)", source)), default=0)
        for bug in range(bugs + 1):
            (HERE / "ptx" / f"{path.stem}.{bug}.ptx").write_text(compile_ptx(source, path.stem, bug))


main()
