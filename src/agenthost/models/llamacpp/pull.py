"""Models come and go: a GGUF is fetched by URL, with all its parts where it is split, and there only when it is whole."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from yarl import URL

from agenthost.core.errors import BadInput, NotFound
from agenthost.models.llamacpp.fetching import Fetch, Tell, aside, let_go, lock
from agenthost.models.llamacpp.parts import SUFFIX, first_part, split_of
from agenthost.models.openai.connection import Sessions

_HUB = "https://huggingface.co"
_NAME = re.compile(r"[\w][\w.+-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{64}")


class Pulled(Struct, frozen=True):
    """What is there now. `resumed`: bytes that had come before. Of a split model `path` is its first part, `size` that of
    all, `parts` their hashes in their order, and `sha256` empty."""

    name: str
    path: str
    size: int
    sha256: str
    resumed: int = 0
    parts: tuple[str, ...] = ()


def source_of(text: str) -> URL:
    """The address that is meant: a URL, or `hf:OWNER/REPO/FILE.gguf` of the hub. Raises BadInput."""
    if text.startswith("hf:"):
        owner, _, rest = text[3:].partition("/")
        repo, _, file = rest.partition("/")
        if not (owner and repo and file):
            raise BadInput(f"'{text}' names no file; write hf:OWNER/REPO/FILE.gguf")
        return URL(_HUB) / owner / repo / "resolve" / "main" / file
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(f"'{text}' is no address; give one such as https://example.org/model.gguf")
    return url


def name_of(url: URL, name: str) -> str:
    """The model's name here: what is wanted, or the file's own. Raises BadInput."""
    split = split_of(url.name)
    chosen = (name or (split.name if split else url.name)).removesuffix(SUFFIX)
    own = split_of(chosen)
    if split and own:
        chosen = own.name
    if not _NAME.fullmatch(chosen):
        raise BadInput(f"a model can't be called '{chosen}'; give letters, digits, dots and dashes with --name")
    return chosen


async def pull(
    source: str,
    folder: Path,
    tell: Tell,
    environ: Mapping[str, str],
    sha256: str | Sequence[str] = (),
    name: str = "",
) -> Pulled:
    """Fetch `source` into `folder`; of a split model all parts, whichever is named. `sha256`: a hash for each part, in their order.
    Cancelled or cut, the next call goes on from there. Raises BadInput, NotFound, Permanent (`hash-mismatch`, `auth`,
    `not-a-model`), Temporary."""
    url = source_of(source)
    chosen = name_of(url, name)
    split = split_of(url.name)
    files = [f"{chosen}{SUFFIX}"] if split is None else _renamed(split.files, split.name, chosen)
    urls = [url] if split is None else [_sibling(url, file) for file in split.files]
    wanted = _hashes([sha256] if isinstance(sha256, str) else sha256, len(files))
    await asyncio.to_thread(_free_name, folder, chosen, files)
    fetches = [
        Fetch(each, folder / file, tell, hash, (number, len(files)))
        for number, (each, file, hash) in enumerate(zip(urls, files, wanted, strict=True), 1)
    ]
    sessions = Sessions(environ)
    try:
        for fetch in fetches:  # all of them locked before the first byte comes
            await asyncio.to_thread(fetch.open)
        for fetch in fetches:
            await fetch.run(sessions)
        # The first last: without it nobody takes the others for a model.
        for fetch in reversed(fetches):
            await asyncio.to_thread(fetch.place)
        for fetch in fetches:
            await asyncio.to_thread(fetch.forget)
    finally:
        await sessions.close()
        for fetch in fetches:
            fetch.close()
    hashes = tuple(fetch.found for fetch in fetches)
    size, resumed = sum(fetch.size for fetch in fetches), sum(fetch.resumed for fetch in fetches)
    alone = len(fetches) == 1
    return Pulled(chosen, str(fetches[0].target), size, hashes[0] if alone else "", resumed, () if alone else hashes)


def remove(folder: Path, name: str) -> int:
    """Remove a model with all its parts, and what was fetched of it; the bytes that are free now. Raises NotFound, BadInput."""
    chosen = name.removeprefix("llamacpp:").removesuffix(SUFFIX)
    if not _NAME.fullmatch(chosen):
        raise BadInput(f"'{name}' is no name of a model in {folder}")
    present = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    targets = [folder / f"{chosen}{SUFFIX}"]
    found = _of(present, targets)
    if not found or split_of(chosen):
        own = split_of(chosen)
        targets = [path for path in map(_target, present) if _is_part(path, own.name if own else chosen)]
        found = found + [path for path in _of(present, targets) if path not in found]
    if not found:
        raise NotFound(f"there is no model '{chosen}' in {folder}; `agenthost model list` shows those that there are")
    for path in found:
        if path.name.endswith(".part"):
            let_go(lock(_target(path)))  # nobody fetches it just now
    size = sum(path.stat().st_size for path in found)
    for path in sorted(found, key=lambda path: path.name.startswith(".")):
        path.unlink(missing_ok=True)
    return size


def _of(present: list[Path], targets: list[Path]) -> list[Path]:
    """Of the files that are there, those of these models: whole, in part, and what is known of a part."""
    return [path for path in present if _target(path) in targets]


def _target(path: Path) -> Path:
    """The model that a file is of."""
    if path.name.startswith("."):
        return path.with_name(path.name[1:].removesuffix(".json").removesuffix(".part"))
    return path


def _is_part(path: Path, name: str) -> bool:
    split = split_of(path.name)
    return split is not None and split.name == name and path.suffix == SUFFIX


def _renamed(files: list[str], old: str, new: str) -> list[str]:
    """The parts' files under another name; how they are counted stays, since llama.cpp finds them by it."""
    return [new + file.removeprefix(old) for file in files]


def _sibling(url: URL, file: str) -> URL:
    """The same address with another file at its end; its query may hold what lets one in."""
    return url.with_path(url.path.rpartition("/")[0] + "/" + file, keep_query=True)


def _hashes(given: Sequence[str], count: int) -> list[str]:
    """A hash for each file, empty where none is wanted. Raises BadInput."""
    hashes = [each.lower().removeprefix("sha256:") for each in given if each]
    for each, said in zip(hashes, [each for each in given if each], strict=True):
        if not _HASH.fullmatch(each):
            raise BadInput(f"'{said}' is no SHA-256: that has 64 digits of 0 to 9 and a to f")
    if not hashes:
        return [""] * count
    if len(hashes) != count:
        raise BadInput(
            f"the model has {count} part{'s' if count > 1 else ''} and {len(hashes)} hash{'es were' if len(hashes) > 1 else ' was'} "
            "given; give --sha256 once for each part, in their order, or not at all"
        )
    return hashes


def _free_name(folder: Path, name: str, files: list[str]) -> None:
    """Have a folder where no model has this name. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} can't be made: {error.strerror}") from None
    if (folder / f"{name}{SUFFIX}").exists() or (folder / files[0]).exists() or first_part(folder, name):
        raise BadInput(
            f"there is a model '{name}' already; take another name with --name, or first: agenthost model remove {name}"
        )
    for file in files[1:]:
        if (folder / file).exists() and not aside(folder / file):
            raise BadInput(f"{folder / file} is there already and was not fetched here; take another name with --name")
