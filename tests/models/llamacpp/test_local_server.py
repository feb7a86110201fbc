"""A real llama.cpp in a child: answers, schemas, pictures, embeddings; its life, its death, and what it leaves behind."""

import asyncio
import contextlib
import io
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from agenthost.core.errors import BadInput, NotFound, Permanent, Temporary, Unavailable
from agenthost.core.machines import MachineFacts, Need
from agenthost.core.models import Delta, ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import FilePart, TextPart
from agenthost.core.ports import Model
from agenthost.machine.ledger import Ledger
from agenthost.models.catalog import Catalog
from agenthost.models.llamacpp.process import Child
from agenthost.models.settings import NameSettings
from agenthost.testing.gguf import TinyModel, write_model, write_split
from tests.models.llamacpp.conftest import Open

SCHEMA = {
    "type": "object",
    "properties": {"pass": {"type": "boolean"}, "word": {"enum": ["red", "green"]}},
    "required": ["pass", "word"],
    "additionalProperties": False,
}
LONG = {"type": "object", "properties": {"say": {"type": "array", "minItems": 60, "items": {"enum": ["x" * 30]}}},
        "required": ["say"], "additionalProperties": False}  # fmt: skip


def asked(text: str, **fields: object) -> ModelRequest:
    return msgspec.structs.replace(
        ModelRequest("m", "Be brief.", (Turn("user", (TextPart(text),)),), max_output=60), **fields
    )


async def answered(model: Model, request: ModelRequest) -> tuple[ModelAnswer, list[Delta]]:
    told: list[Delta] = []
    return await model.answer(request, told.append), told


def notices(told: list[Delta]) -> list[str]:
    return [delta.notice for delta in told if delta.notice]


async def pid_of(catalog: Catalog, name: str = "tiny") -> int:
    return next(line.pid for line in await catalog.lines() if line.name == f"llamacpp:{name}")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_it_is_loaded_when_it_is_first_asked_and_its_words_are_told(catalog: Open) -> None:
    models = catalog()
    model = await models.model("llamacpp:tiny")
    assert await pid_of(models) == 0
    first, told = await answered(model, asked("hello"))
    assert notices(told) == ["loading tiny (384 KB, 1 × 2,048 tokens)"]
    assert "".join(delta.text for delta in told) == first.text
    assert first.usage.input > 10
    assert 0 < first.usage.output <= 60
    assert first.model == "tiny"
    pid = await pid_of(models)
    _, told = await answered(model, asked("again"))
    assert notices(told) == []
    assert await pid_of(models) == pid
    await models.close()
    assert gone(pid)


async def test_it_costs_nothing_and_sees_where_it_has_a_projector(catalog: Open) -> None:
    models = catalog()
    tiny, blind = (await models.model("llamacpp:tiny")).card, (await models.model("llamacpp:blind")).card
    assert (tiny.input_price, tiny.output_price, tiny.images, tiny.window) == (0.0, 0.0, True, 2048)
    assert not blind.images


async def test_answers_keep_to_a_schema(catalog: Open) -> None:
    model = await catalog().model("llamacpp:tiny")
    for number in range(5):
        answer, _ = await answered(model, asked(f"number {number}", output_schema=SCHEMA, max_output=400))
        said = msgspec.json.decode(answer.text)
        assert said.keys() == {"pass", "word"}
        assert said["word"] in ("red", "green")


def picture(colour: str, pictures: dict[str, bytes]) -> FilePart:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "PNG")
    pictures[colour] = file.getvalue()
    return FilePart(colour, "image/png", len(file.getvalue()), "p.png")


async def test_a_picture_goes_through_the_projector(catalog: Open, pictures: dict[str, bytes]) -> None:
    """With the same words, what it says depends on the picture; nothing is drawn by lot."""
    models = catalog(names={"steady": NameSettings("llamacpp:tiny", extra={"ignore_eos": True, "cache_prompt": False})})
    model = await models.model("steady")
    said: list[str] = []
    for colour in ("red", "red", "blue"):
        turns = (Turn("user", (TextPart("look"), picture(colour, pictures))),)
        answer, _ = await answered(model, asked("", turns=turns, temperature=0.0, max_output=40))
        said.append(answer.text)
    assert said[0] == said[1]
    assert said[0] != said[2]


async def test_texts_become_vectors_of_length_one(catalog: Open) -> None:
    offered = await catalog(embeddings=True).abilities("llamacpp:tiny")
    texts = [f"text {number}" for number in range(70)]
    found = await offered.embed(texts)
    assert len(found.vectors) == 70
    assert {len(vector) for vector in found.vectors} == {64}
    assert all(abs(sum(x * x for x in vector) - 1) < 1e-3 for vector in found.vectors)
    assert (await offered.embed(["text 3"])).vectors[0] == pytest.approx(found.vectors[3], abs=1e-3)
    with pytest.raises(Permanent, match="too long for tiny: it takes 2048 tokens"):
        await offered.embed(["word " * 2000])


async def test_a_name_of_a_name_of_a_local_model_does_what_that_does(catalog: Open) -> None:
    names = {"a": NameSettings("b", extra={"seed": 1}), "b": NameSettings("llamacpp:tiny", card={"window": 900})}
    models = catalog(names=names, embeddings=True)
    assert len((await (await models.abilities("a")).embed(["x"])).vectors) == 1


async def test_what_it_doesnt_do_it_says_and_names_what_would(catalog: Open) -> None:
    offered = await catalog().abilities("llamacpp:tiny")
    with pytest.raises(Unavailable, match=r"embeddings = true in \[models.local.tiny\]"):
        await offered.embed(["x"])
    with pytest.raises(Unavailable, match="has no moderation"):
        await offered.moderate((TextPart("x"),))


async def test_killed_in_the_middle_it_says_so_and_the_next_call_starts_it_again(catalog: Open) -> None:
    models = catalog()
    model = await models.local.model("tiny", lambda card: card, {})
    await answered(model, asked("hello"))
    pid = await pid_of(models)

    killed: list[int] = []

    def kill(delta: Delta) -> None:
        if delta.text and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Temporary, match="was killed by SIGKILL in the middle of an answer of tiny") as caught:
        await model.answer(asked("talk", output_schema=LONG, max_output=2000), kill)
    assert (caught.value.code, caught.value.sent) == ("model-ended", True)
    _, told = await answered(model, asked("hello"))
    assert notices(told)[-1].startswith("loading tiny")
    assert await pid_of(models) not in (0, pid)


async def test_it_is_stopped_when_nobody_uses_it_and_comes_back(catalog: Open) -> None:
    models = catalog(keep=0.05)
    model = await models.model("llamacpp:tiny")
    await answered(model, asked("hello"))
    async with asyncio.timeout(60):
        while await pid_of(models):
            await asyncio.sleep(0.01)
    _, told = await answered(model, asked("hello"))
    assert notices(told)[-1].startswith("loading tiny")


async def test_a_damaged_file_is_told_with_llama_cpps_own_words(catalog: Open, models: Path) -> None:
    damaged = models / "damaged.gguf"
    damaged.write_bytes((models / "tiny.gguf").read_bytes().replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight"))
    model = await catalog().model(f"llamacpp:{damaged}")
    with pytest.raises(
        Unavailable, match="ended with exit code 1 while it loaded damaged.*blk.0.attn_q.weight.*Fetch the file again"
    ):
        await answered(model, asked("hello"))


async def test_one_slot_is_shared_fairly_and_those_who_wait_are_told(catalog: Open) -> None:
    model = await catalog().model("llamacpp:tiny")
    order: list[str] = []
    told: list[str] = []

    async def ask(person: str) -> None:
        def heard(delta: Delta) -> None:
            if delta.notice.startswith("waiting for tiny"):
                told.append(delta.notice)

        await model.answer(asked("hi", max_output=5, metadata={"person": person, "task": person}), heard)
        order.append(person)

    async with asyncio.TaskGroup() as group:
        for person in ("ann", "ann", "ann", "ann", "bob"):
            group.create_task(ask(person))
    assert order.index("bob") <= 2
    assert "waiting for tiny, 3 before" in told or "waiting for tiny, 2 before" in told
    assert "waiting for tiny, next" in told


async def test_of_two_models_that_dont_fit_together_the_idle_one_makes_room(catalog: Open) -> None:
    machine = Ledger(MachineFacts(2, 2**40), Need(memory=700 * 1024**2, cpu=2))
    models = catalog(machine=machine)
    tiny, blind = await models.model("llamacpp:tiny"), await models.model("llamacpp:blind")
    need = next(iter(models.local.servers())).start.plan.need.memory
    await machine.close()
    machine = Ledger(MachineFacts(2, 2**40), Need(memory=need * 3 // 2, cpu=2))
    models = catalog(machine=machine)
    tiny, blind = await models.model("llamacpp:tiny"), await models.model("llamacpp:blind")
    try:
        await answered(tiny, asked("hello"))
        _, told = await answered(blind, asked("hello"))
        assert await pid_of(models, "tiny") == 0
        assert await pid_of(models, "blind") != 0
        assert any("memory" in notice for notice in notices(told))
        assert [held.who for held in machine.holding()] == ["model blind"]
        await models.close()
        assert machine.holding() == []
    finally:
        await machine.close()


async def test_names_that_are_wrong_are_told_with_the_nearest(catalog: Open) -> None:
    models = catalog()
    with pytest.raises(NotFound, match="there is no local model 'tinny' in .*Did you mean 'tiny'"):
        await models.model("llamacpp:tinny")
    with pytest.raises(NotFound, match="there is no file /nowhere/x.gguf"):
        await models.model("llamacpp:/nowhere/x.gguf")
    with pytest.raises(BadInput, match="is a projector, no model"):
        await models.model("llamacpp:mmproj-tiny")


async def test_what_is_too_large_is_told_under_its_name_here(catalog: Open, models: Path) -> None:
    file = write_model(models / "mine.gguf", TinyModel("Theirs"), {"llama.embedding_length": 2**24})
    try:
        with pytest.raises(Unavailable, match=r"the model mine needs .* of memory"):
            await catalog().model("llamacpp:mine")
    finally:
        file.unlink()


async def test_a_split_model_is_one_under_its_name(catalog: Open, models: Path) -> None:
    files = write_split(models / "parted.gguf", 3, TinyModel(context=2048))
    try:
        opened = catalog()
        names = [line.name for line in await opened.lines() if "parted" in line.name]
        assert names == ["llamacpp:parted"]
        for name in ("parted", "parted-00001-of-00003"):
            answer, _ = await answered(await opened.model(f"llamacpp:{name}"), asked("hello"))
            assert answer.usage.output
        files[1].unlink()
        with pytest.raises(BadInput, match="it is one of 3 parts, and parted-00002-of-00003.gguf is missing"):
            await catalog().model("llamacpp:parted")
    finally:
        for file in files:
            file.unlink(missing_ok=True)


async def test_a_model_that_is_replaced_is_read_anew_for_its_next_child(catalog: Open, models: Path) -> None:
    file = write_model(models / "fresh.gguf", TinyModel(context=1024))
    try:
        opened = catalog()
        model = await opened.model("llamacpp:fresh")
        assert model.card.window == 1024
        await answered(model, asked("hello"))
        write_model(models / "new.gguf", TinyModel(context=4096)).replace(file)
        assert (await opened.model("llamacpp:fresh")).card.window == 1024  # what runs, runs on
        (server,) = (each for each in opened.local.servers() if each.start.name == "fresh")
        await server.stop()
        told: list[Delta] = []
        await model.answer(asked("hello"), told.append)  # somebody has it in the hand
        assert any("4,096 tokens" in notice for notice in notices(told))
        assert (await opened.model("llamacpp:fresh")).card.window == 4096
        await server.stop()
        write_model(file, TinyModel(context=512))
        assert (await opened.model("llamacpp:fresh")).card.window == 512
        file.unlink()
        with pytest.raises(NotFound, match="there is no local model 'fresh'"):
            await answered(await opened.model("llamacpp:fresh"), asked("hello"))
    finally:
        file.unlink(missing_ok=True)


async def test_a_path_is_a_name_too(catalog: Open, models: Path) -> None:
    model = await catalog().model(f"llamacpp:{models}/blind.gguf")
    assert model.card.name == "blind"
    assert model.card.window == 2048


def children() -> set[str]:
    """The processes that this one started, and that haven't ended."""
    found: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(folder.name)
    return found


async def test_a_chat_template_that_isnt_there_leaves_no_child_behind(catalog: Open) -> None:
    models = catalog(chat_template="/nowhere/chat.jinja")
    model = await models.model("llamacpp:tiny")
    before = children()
    with pytest.raises(Unavailable, match="the chat template /nowhere/chat.jinja can't be read"):
        await answered(model, asked("hello"))
    assert children() == before


async def test_cancelled_while_it_makes_way_for_a_new_child_it_keeps_no_memory(catalog: Open) -> None:
    machine = Ledger(MachineFacts(2, 2**40), Need(memory=2**40, cpu=2))
    models = catalog(machine=machine)
    model = await models.model("llamacpp:tiny")
    await answered(model, asked("hello"))
    (server,) = models.local.servers()
    running = server.running
    assert running is not None
    stopping = asyncio.get_running_loop().create_task(server.stop())
    await asyncio.sleep(0)  # it has begun
    stopping.cancel()
    await asyncio.wait([stopping])
    await models.close()
    assert gone(running.child.pid)
    assert machine.holding() == []
    await machine.close()


async def test_once_the_host_ends_nobody_who_waits_starts_it_again(catalog: Open) -> None:
    models = catalog()
    model = await models.model("llamacpp:tiny")
    await answered(model, asked("hello"))
    (server,) = models.local.servers()
    await server.close()
    with pytest.raises(Unavailable, match="the host ends; tiny isn't started any more"):
        await answered(model, asked("hello"))
    assert server.running is None


async def test_a_module_where_somebody_stands_is_not_loaded(
    catalog: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise SystemExit('another file of this name')")
    monkeypatch.chdir(tmp_path)
    answer, _ = await answered(await catalog().model("llamacpp:tiny"), asked("hello"))
    assert answer.usage.output


SERVER = """\
#!{python}
# Takes orders as llama-server does, by arguments and LLAMA_ARG_ variables, and runs the real llama.cpp.
import os, sys, threading, xllamacpp
if "--version" in sys.argv:
    sys.stderr.write("version: 9876 (abcdef0)\\nbuilt with cc for x86_64\\n"); sys.exit()
if "--list-devices" in sys.argv:
    print("Available devices:\\n  CUDA0: Some GPU (24564 MiB, 23000 MiB free)"); sys.exit()
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
env = os.environ
assert "key" not in " ".join(sys.argv).lower()
params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = words["--model"], int(words["--port"]), [words["--host"]]
params.api_keys, params.model_alias = [env["LLAMA_API_KEY"]], {{env["LLAMA_ARG_ALIAS"]}}
params.n_ctx, params.n_parallel = int(env["LLAMA_ARG_CTX_SIZE"]), int(env["LLAMA_ARG_N_PARALLEL"])
params.mmproj.path = env.get("LLAMA_ARG_MMPROJ", "")
params.fit_params, params.cache_ram_mib = False, int(env["LLAMA_ARG_CACHE_RAM"])
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(env["LLAMA_ARG_THREADS"])
server = xllamacpp.Server(params)
threading.Event().wait()
"""


async def test_llama_server_on_the_path_comes_first(catalog: Open, tmp_path: Path) -> None:
    server = tmp_path / "llama-server"
    server.write_text(SERVER.format(python=sys.executable))
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    models = catalog(command="", environ={"PATH": f"{tmp_path}:{shutil.os.defpath}"}, gpu_layers=0)
    _, about = await models.local.about()
    assert about.version == "9876"
    assert [(gpu.name, gpu.kind, gpu.memory) for gpu in about.gpus] == [("Some GPU", "cuda", 24564 * 1024**2)]
    answer, _ = await answered(
        await models.model("llamacpp:tiny"), asked("hello", output_schema=SCHEMA, max_output=300)
    )
    assert msgspec.json.decode(answer.text).keys() == {"pass", "word"}
    pid = await pid_of(models)
    assert b"llama-server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    await models.close()
    assert gone(pid)


THIEF = """\
import os, pathlib, socket, sys, threading
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
marker = pathlib.Path(__file__).with_name("taken")
if not marker.exists() and "--port" in words:
    reader, writer = os.pipe()
    if os.fork() == 0:  # somebody else takes the port, and keeps it
        os.setsid()  # or it would end with the child, as part of it
        with socket.socket() as held:
            held.bind(("127.0.0.1", int(words["--port"])))
            held.listen()
            marker.write_text(str(os.getpid()))
            os.write(writer, b".")
            for fd in (0, 1, 2):
                os.close(fd)
            threading.Event().wait()
    os.read(reader, 1)
    sys.exit("couldn't bind to the port")
"""


async def test_a_port_that_somebody_else_took_is_changed_for_another(catalog: Open, tmp_path: Path) -> None:
    server = tmp_path / "llama-server"
    head, _, rest = SERVER.format(python=sys.executable).partition("\n")
    server.write_text(f"{head}\n{THIEF}{rest}")
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    try:
        models = catalog(command=str(server), gpu_layers=0)
        answer, _ = await answered(await models.model("llamacpp:tiny"), asked("hello"))
        assert answer.usage.output
    finally:
        os.kill(int((tmp_path / "taken").read_text()), signal.SIGKILL)


WRAPPER = """\
#!/bin/sh
# As people write one: without exec, so that the server is a child of this.
"{server}" "$@"
exit $?
"""


@pytest.fixture
def wrapped(tmp_path: Path) -> Path:
    """A script around llama-server; where the server runs stands in `pid` beside it."""
    server = tmp_path / "llama-server"
    head, _, rest = SERVER.format(python=sys.executable).partition("\n")
    server.write_text(
        f"{head}\nimport os, pathlib\npathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\n{rest}"
    )
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(WRAPPER.format(server=server))
    for file in (server, wrapper):
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return wrapper


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while not gone(pid):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("ending", ["stopped", "killed"])
async def test_a_server_in_a_wrapper_ends_with_it(catalog: Open, wrapped: Path, ending: str) -> None:
    models = catalog(command=str(wrapped), gpu_layers=0)
    model = await models.model("llamacpp:tiny")
    await answered(model, asked("hello"))
    pid = int(wrapped.with_name("pid").read_text())
    child = await pid_of(models)
    assert not gone(pid)
    assert pid != child
    if ending == "killed":
        os.kill(child, signal.SIGKILL)
        await until_gone(pid)
        with contextlib.suppress(Temporary):  # its end may be seen by nobody before this call
            await answered(model, asked("hello"))
        await answered(model, asked("hello"))
        pid = int(wrapped.with_name("pid").read_text())
    await models.close()
    await until_gone(pid)


HOST = """\
import asyncio, os, sys
from agenthost.models.llamacpp.process import start

async def main():
    command = (sys.executable, "-P", "-m", "agenthost.models.llamacpp.child", "run", str(os.getpid()), sys.argv[1])
    child = await start(command, os.environ, lambda child: None)
    print(child.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_server_in_a_wrapper_ends_with_a_host_that_is_killed(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(
        f'#!/bin/sh\nsleep 600 & echo $! > "{tmp_path}/new"; mv "{tmp_path}/new" "{tmp_path}/pid"; wait\n'
    )
    wrapper.chmod(0o755)
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(wrapper), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.01)
        server = int((tmp_path / "pid").read_text())
        assert not gone(server)
    finally:
        host.kill()
        await host.wait()
    await until_gone(server)


async def test_a_command_that_isnt_there_is_told(catalog: Open) -> None:
    with pytest.raises(Unavailable, match=r"command names 'llama-nowhere'.*pip install"):
        await catalog(command="llama-nowhere").model("llamacpp:tiny")


async def test_its_key_is_in_no_argument_and_nobody_without_it_is_answered(catalog: Open) -> None:
    import aiohttp

    models = catalog()
    await answered(await models.model("llamacpp:tiny"), asked("hello"))
    running = next(server.running for server in models.local.servers() if server.running)
    assert running.key.encode() not in Path(f"/proc/{running.child.pid}/cmdline").read_bytes()
    assert running.key.encode() not in Path(f"/proc/{running.child.pid}/environ").read_bytes()
    async with aiohttp.ClientSession() as session, session.post(running.base / "completions", json={}) as response:
        assert response.status == 401
    assert isinstance(running.child, Child)
