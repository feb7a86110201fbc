import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agenthost.core.errors import BadInput
from agenthost.core.media import FileLimits, check_file, dimensions, media_type, picture_type

MB = 1024 * 1024


def picture(form: str, size: tuple[int, int] = (31, 17), **options: object) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, "navy").save(made, form, **options)
    return made.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, as a decompression bomb does."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (picture("PNG"), "image/png"),
        (picture("JPEG"), "image/jpeg"),
        (picture("JPEG", progressive=True), "image/jpeg"),
        (picture("JPEG", exif=b"Exif\0\0" + b"x" * 500), "image/jpeg"),
        (picture("GIF"), "image/gif"),
        (picture("WEBP"), "image/webp"),
        (picture("WEBP", lossless=True), "image/webp"),
        (picture("WEBP", exif=b"Exif\0\0" + b"x" * 50), "image/webp"),
    ],
)
def test_a_picture_is_known_by_its_bytes_and_measured_by_its_header(content: bytes, media: str) -> None:
    assert picture_type(content) == media
    facts = check_file("any", content)
    assert (facts.media_type, facts.width, facts.height, facts.size) == (media, 31, 17, len(content))


def refusal(name: str, content: bytes, *accept: str, **more: int) -> str:
    with pytest.raises(BadInput) as caught:
        check_file(name, content, accept, **more)
    return caught.value.message


def test_a_text_file_named_png_is_told() -> None:
    message = refusal("sketch.png", b"Dear system, draw a box.", "image/png", "image/jpeg")
    assert message == "sketch.png is not a picture: it holds text; give a PNG or JPEG picture"


def test_an_empty_file_is_told() -> None:
    assert refusal("sketch.png", b"", "image/png") == "sketch.png is empty; give a file with something in it"


@pytest.mark.parametrize("content", [picture("PNG") + b"\0" * (50 * MB - len(picture("PNG"))), picture("PNG")[:64]])
def test_a_50_mb_picture_is_told_be_it_read_whole_or_not(content: bytes) -> None:
    message = refusal("sketch.png", content, "image/png", full_size=50 * MB)
    assert message == (
        "sketch.png has 50 MB, and a file may have 20 MB; give a smaller or more compressed picture, or raise the "
        "limit in the settings"
    )


def test_a_picture_of_another_kind_than_wanted_is_told() -> None:
    assert (
        refusal("a.png", picture("GIF"), "image/png")
        == "a.png is a GIF picture, which is not taken here; give a PNG picture"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"BM\x00\x00", "a BMP picture"),
        (b"\0\0\0\x18ftypheic", "a HEIC or AVIF picture"),
        (b"\0\1", "binary data"),
    ],
)
def test_what_it_is_instead_of_a_picture_is_named(content: bytes, words: str) -> None:
    assert words in refusal("photo.jpg", content, "image/*")


@pytest.mark.parametrize("size", [(100_000, 10), (10, 100_000), (10_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    message = refusal("bomb.png", png_of(*size))
    assert f"{size[0]:,} x {size[1]:,} pixels" in message and "scale it down" in message


def test_a_picture_without_pixels_is_refused() -> None:
    assert "no pixels" in refusal("a.png", png_of(0, 5))


def test_a_header_that_was_changed_is_refused() -> None:
    content = bytearray(picture("PNG"))
    content[19] ^= 1
    assert "checksum" in refusal("a.png", bytes(content))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_cut_anywhere_is_read_or_refused_and_never_crashes(form: str) -> None:
    whole = picture(form)
    for end in range(12, len(whole)):
        try:
            assert dimensions("a", whole[:end]) == (31, 17)
            assert form != "PNG"  # its last chunk shows that it is whole
        except BadInput as error:
            assert "damaged" in error.message or "not a picture" in error.message


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBP", b""]), st.binary(max_size=200)
)
def test_any_bytes_are_read_or_refused_in_words(begin: bytes, rest: bytes) -> None:
    try:
        check_file("a.png", begin + rest)
    except BadInput as error:
        assert error.message.startswith("a.png ")


def test_the_limits_are_settings() -> None:
    assert check_file("a.png", picture("PNG"), limits=FileLimits(size=10_000, pixels=527, side=31)).width == 31
    with pytest.raises(BadInput, match="pixels"):
        check_file("a.png", picture("PNG"), limits=FileLimits(pixels=526))


@pytest.mark.parametrize(
    ("name", "content", "media"),
    [
        ("a.py", b"print(1)", "text/x-python"),
        ("a.json", b"{}", "application/json"),
        ("a.unknown", "wörter".encode(), "text/plain"),
        ("a.txt", b"\xff\xfe\0", "application/octet-stream"),
        ("a.txt", b"%PDF-1.4", "application/pdf"),
        ("noname", b"\x00", "application/octet-stream"),
    ],
)
def test_other_files_are_known_by_bytes_first_and_by_name_then(name: str, content: bytes, media: str) -> None:
    assert media_type(name, content) == media
    assert check_file(name, content).media_type == media


def test_a_wildcard_takes_any_of_its_kind() -> None:
    assert check_file("a", picture("WEBP"), ("image/*",)).media_type == "image/webp"
    assert check_file("a.md", b"# x", ("text/*", "application/pdf")).media_type == "text/markdown"
    assert refusal("a.md", b"# x", "application/pdf") == "a.md is text, which is not taken here; give application/pdf"


def test_a_wave_file_and_a_heic_picture_are_known_by_their_headers() -> None:
    assert media_type("a", b"RIFF\x00\x00\x00\x00WAVEfmt ") == "audio/wav"
    assert media_type("a", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic") == "image/heic"


JPEG = b"\xff\xd8\xff"
FRAME = b"\xc0\x00\x11\x08" + struct.pack(">HH", 5, 7) + b"\x03" + b"\x00" * 10


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (JPEG + FRAME, (7, 5)),
        (b"\xff\xd8\xff\xff\xff" + FRAME, (7, 5)),
        (b"\xff\xd8\xff\x01\xff\xd0\xff" + FRAME, (7, 5)),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff" + FRAME, (7, 5)),
        (b"\xff\xd8\xff\xd9", "its frame header is missing"),
        (b"\xff\xd8\xff\xda", "its frame header is missing"),
        (b"\xff\xd8\xff\xe0\x00\x02abcd", "a marker is missing in its header"),
    ],
)
def test_a_jpeg_s_size_stands_behind_any_markers(content: bytes, wanted: tuple[int, int] | str) -> None:
    if isinstance(wanted, tuple):
        assert dimensions("a.jpg", content) == wanted
        return
    with pytest.raises(BadInput, match=wanted):
        dimensions("a.jpg", content)


@pytest.mark.parametrize("kind", [b"VP8L", b"VP8 ", b"VP8?"])
def test_a_webp_without_its_inner_header_is_damaged(kind: bytes) -> None:
    with pytest.raises(BadInput):
        dimensions("a.webp", b"RIFF\x20\x00\x00\x00WEBP" + kind + b"\x00" * 20)
