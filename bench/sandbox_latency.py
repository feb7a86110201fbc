"""What a sandboxed Python run costs beside a plain one: `python -m bench.sandbox_latency`.

Both are measured in turn in the same run; then runs a second with 8 at once.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from agenthost.core.sandboxes import SandboxRun
from agenthost.sandboxes.bubblewrap import Bubblewrap

ROUNDS, WARM_UP, AT_ONCE, SECONDS = 100, 10, 8, 3.0


async def plain(argv: tuple[str, ...]) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*argv, stdin=-3, stdout=-1, stderr=-1, env={"LANG": "C.UTF-8"})
    out, _ = await process.communicate()
    assert out == b"1\n"
    return time.perf_counter() - began


async def ours(sandbox: Bubblewrap, argv: tuple[str, ...], workspace: Path) -> float:
    began = time.perf_counter()
    outcome = await sandbox.run(SandboxRun(argv, str(workspace)))
    assert outcome.stdout == b"1\n", outcome
    return time.perf_counter() - began


async def rate(sandbox: Bubblewrap, workspaces: Path) -> float:
    done = 0
    end = time.perf_counter() + SECONDS

    async def worker(number: int) -> None:
        nonlocal done
        workspace = workspaces / f"worker-{number}"
        workspace.mkdir()
        while time.perf_counter() < end:
            await ours(sandbox, ("python", "-c", "print(1)"), workspace)
            done += 1

    await asyncio.gather(*(worker(number) for number in range(AT_ONCE)))
    return done / SECONDS


async def main() -> None:
    with tempfile.TemporaryDirectory() as base:
        workspaces = Path(base, "workspaces")
        workspace = workspaces / "one"
        workspace.mkdir(parents=True)
        (workspace / "main.py").write_text("print(1)\n")
        sandbox = Bubblewrap(Path(base, "cache"), workspaces)
        said = await sandbox.available()
        if not said.available:
            sys.exit(f"not measured: {said.detail}; {said.fix}")
        python = sys.executable
        times: dict[str, list[float]] = {}
        for number in range(ROUNDS + WARM_UP):
            measured = {
                "plain python3 -c": await plain((python, "-c", "print(1)")),
                "sandboxed python -c": await ours(sandbox, ("python", "-c", "print(1)"), workspace),
                "sandboxed python main.py": await ours(sandbox, ("python", "main.py"), workspace),
                "sandboxed sh -c echo": await ours(sandbox, ("sh", "-c", "echo 1"), workspace),
            }
            if number >= WARM_UP:
                for name, value in measured.items():
                    times.setdefault(name, []).append(value)
        rows = [
            {
                "suite": "sandbox",
                "subject": name,
                "metric": "median",
                "value": statistics.median(values) * 1e3,
                "unit": "ms",
            }
            for name, values in times.items()
        ]
        per_second = await rate(sandbox, workspaces)
        rows.append(
            {
                "suite": "sandbox",
                "subject": "sandboxed python -c",
                "metric": "rate at 8",
                "value": per_second,
                "unit": "1/s",
            }
        )
        await sandbox.close()
    base_time = rows[0]["value"]
    for row in rows:
        ratio = f"  {row['value'] / base_time:.2f} x plain" if row["unit"] == "ms" else ""
        print(f"{row['subject']:26} {row['metric']:10} {row['value']:8.1f} {row['unit']}{ratio}", file=sys.stderr)
    print(json.dumps(rows))


if __name__ == "__main__":
    asyncio.run(main())
