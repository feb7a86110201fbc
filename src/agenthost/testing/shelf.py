"""The conformance suite of `core.shelf.Shelf`. Subclass `ShelfSuite` and give it a fixture `shelf`."""

from agenthost.core.shelf import Shelf, Thing


def _thing(id: str, kind: str = "a.file", within: str = "", person: str = "ann", body: bytes = b"{}") -> Thing:
    return Thing(kind, id, "default", person, 1.0, body, within, ("sha256:1", "sha256:2"))


def _ids(things: list[Thing]) -> list[str]:
    return [thing.id for thing in things]


class ShelfSuite:
    """What every shelf does."""

    async def test_a_thing_is_kept_as_it_is_and_only_its_body_changes(self, shelf: Shelf) -> None:
        assert await shelf.get("a.file", "1") is None
        await shelf.put([_thing("1")])
        kept = await shelf.get("a.file", "1")
        assert kept is not None and kept.place > 0
        assert kept == Thing("a.file", "1", "default", "ann", 1.0, b"{}", "", ("sha256:1", "sha256:2"), kept.place)
        await shelf.put([_thing("1", person="eve", within="2", body=b"[1]")])
        changed = await shelf.get("a.file", "1")
        assert changed == Thing("a.file", "1", "default", "ann", 1.0, b"[1]", "", kept.files, kept.place)
        assert await shelf.get("a.note", "1") is None

    async def test_somebodys_things_come_in_their_order_both_ways(self, shelf: Shelf) -> None:
        await shelf.put([_thing(id) for id in ("c", "a", "b")])
        await shelf.put([_thing("d", person="eve"), _thing("e", "a.note"), _thing("f", within="a")])
        assert _ids(await shelf.of("default", "ann", "a.file")) == ["c", "a", "b"]
        assert _ids(await shelf.of("other", "ann", "a.file")) == []
        assert _ids(await shelf.of("default", "ann", "a.file", "a")) == ["f"]
        first, second, third = await shelf.of("default", "ann", "a.file")
        assert _ids(await shelf.of("default", "ann", "a.file", after=first.place, limit=1)) == [second.id]
        assert _ids(await shelf.of("default", "ann", "a.file", after=-third.place)) == ["a", "c"]
        assert await shelf.count("default", "ann", "a.file") == 3

    async def test_a_thing_goes_with_all_that_is_within_it(self, shelf: Shelf) -> None:
        await shelf.put([_thing("1", "a.talk"), _thing("x", within="1"), _thing("y", within="2"), _thing("z")])
        assert await shelf.delete("a.talk", "1")
        assert not await shelf.delete("a.talk", "1")
        assert await shelf.get("a.file", "x") is None
        assert await shelf.get("a.file", "y") is not None
        assert await shelf.get("a.file", "z") is not None
