"""What is found out of a machine: laid out as kernels and vendors' commands lay it out, and this machine itself."""

import os
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput
from agenthost.core.machines import Gpu, MachineFacts, Need
from agenthost.machine import gpus
from agenthost.machine.cgroups import Limit, limits
from agenthost.machine.facts import Look, look
from agenthost.machine.shares import MachineSettings, capacity

GIB = 1 << 30

SUMMARY = """\
==========
VULKANINFO
==========

Devices:
========
GPU0:
\tapiVersion         = 1.3.255
\tdeviceType         = PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
\tdeviceName         = Some Graphics 630 (KBL)
GPU1:
\tdeviceType         = PHYSICAL_DEVICE_TYPE_CPU
\tdeviceName         = llvmpipe (LLVM 15.0.6, 256 bits)
GPU2:
\tdeviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
\tdeviceName         = NVIDIA Card
"""


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:       8388608 kB\nMemFree:  100 kB\nMemAvailable:    4194304 kB\n"}
V2 = {
    "proc/self/cgroup": "0::/a/b\n",
    "proc/self/mountinfo": "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    "sys/fs/cgroup/a/b/memory.max": "max\n",
    "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
    "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n",
    "sys/fs/cgroup/a/memory.current": f"{GIB}\n",
    "sys/fs/cgroup/a/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
    "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
}
V1 = {
    "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/\n",
    "proc/self/mountinfo": (
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "36 31 0:33 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    ),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "25000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}


def test_the_strictest_limit_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    assert limits(lay(tmp_path, V2)) == Limit(2 * GIB, 3 * GIB // 2, 0.5)


def test_version_one_in_a_container_is_read_where_its_group_is_mounted(tmp_path: Path) -> None:
    assert limits(lay(tmp_path, V1)) == Limit(3 * GIB, 2 * GIB, 0.25)


def test_what_is_not_limited_is_not_limited(tmp_path: Path) -> None:
    unlimited = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    }
    assert limits(lay(tmp_path, V1 | unlimited)) == Limit()


@pytest.mark.parametrize("text", ["", "nonsense", "4:memory", "0::/../..\n", "0::\n"])
def test_files_that_make_no_sense_limit_nothing(tmp_path: Path, text: str) -> None:
    files = {"proc/self/cgroup": text, "proc/self/mountinfo": "x\n - \n1 2 3 4 5 - cgroup2\n" + text}
    assert limits(lay(tmp_path, files)) == Limit()


async def test_a_look_takes_the_groups_limit_for_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await look(lay(tmp_path, MEMINFO | V2), "Linux") == Look(MachineFacts(0.5, 2 * GIB), 3 * GIB // 2)
    free = await look(lay(tmp_path / "free", MEMINFO), "Linux")
    assert (free.facts.memory, free.available) == (8 * GIB, 4 * GIB)
    assert free.facts.cores == len(os.sched_getaffinity(0))


async def test_this_machine_is_found_out() -> None:
    seen = await look()
    assert seen.facts.cores > 0
    assert 0 < seen.available <= seen.facts.memory


async def test_commands_of_vendors_are_asked_and_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert await gpus.find("Linux", tmp_path) == []
    smi, info = tmp_path / "nvidia-smi", tmp_path / "vulkaninfo"
    (tmp_path / "summary").write_text(SUMMARY)
    smi.write_text("#!/bin/sh\necho 'A Card, 24576'\necho 'Old Card, [N/A]'\n")
    info.write_text(f"#!/bin/sh\ncat {tmp_path}/summary\n")
    for command in (smi, info):
        command.chmod(0o755)
    card, other = Gpu("A Card", "cuda", 24 * GIB), Gpu("Some Graphics 630 (KBL)", "vulkan")
    assert await gpus.find("Linux", tmp_path) == [card, other]

    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    lay(tmp_path, {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t A Card\nIRQ: 5\n"})
    assert await gpus.find("Linux", tmp_path) == [Gpu("A Card", "cuda"), other]

    monkeypatch.setattr(gpus, "PATIENCE", 0.2)
    smi.write_text("#!/bin/sh\nexec sleep 60\n")
    info.write_text("#!/bin/sh\nexec sleep 60\n")
    assert await gpus.find("Linux", tmp_path) == [Gpu("A Card", "cuda")]


HERE = Look(MachineFacts(4.0, 8 * GIB, (Gpu("A Card", "cuda", 10 * GIB),)), 7 * GIB)


@pytest.mark.parametrize(
    ("settings", "whole"),
    [
        (MachineSettings(), Need(int(8 * GIB * 0.8), 16.0, 9 * GIB)),
        (MachineSettings("2Gi", 6, "512Mi"), Need(2 * GIB, 6.0, GIB // 2)),
        (MachineSettings(123, "2.5", 0), Need(123, 2.5, 0)),
        (MachineSettings("50%", "150%", "50 %"), Need(4 * GIB, 6.0, 5 * GIB)),
    ],
)
def test_shares_and_amounts_say_what_is_handed_out(settings: MachineSettings, whole: Need) -> None:
    assert capacity(settings, HERE) == whole


def test_a_share_is_lowered_to_what_is_free_and_never_below_a_quarter() -> None:
    assert capacity(MachineSettings(), Look(HERE.facts, 3 * GIB)).memory == 3 * GIB
    assert capacity(MachineSettings(), Look(HERE.facts, 5)).memory == 2 * GIB
    assert capacity(MachineSettings(memory="4Gi"), Look(HERE.facts, 5)).memory == 4 * GIB


@pytest.mark.parametrize(
    "settings",
    [
        MachineSettings(memory="much"),
        MachineSettings(memory="120%"),
        MachineSettings(memory="0%"),
        MachineSettings(memory=0),
        MachineSettings(cpu="all"),
        MachineSettings(cpu=0),
        MachineSettings(cpu="-1%"),
        MachineSettings(gpu_memory="-5"),
        MachineSettings(gpu_memory=-5),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(settings: MachineSettings) -> None:
    with pytest.raises(BadInput, match=r"\[machine\] (memory|cpu|gpu-memory) is .*give|at most"):
        capacity(settings, HERE)
