"""One HTTP request outside for adapters that mustn't have a client of their own; the shape is `Post` of the sandbox
`functions`. No redirects, no cookies, bounded in size and time; the environment's proxy is used."""

import os

from agenthost.core.errors import Permanent, Temporary


async def post(
    url: str, headers: dict[str, str], body: bytes, most: int, seconds: float
) -> tuple[int, dict[str, str], bytes]:
    """POST `body`. Raises Temporary (`unreachable`, `timeout`; `sent` where it may have been heard), Permanent (`too-large`)."""
    return await _request("POST", url, headers, body, most, seconds)


async def get(
    url: str, headers: dict[str, str], body: bytes, most: int, seconds: float
) -> tuple[int, dict[str, str], bytes]:
    """GET; `body` is sent nowhere. Raises as `post` does."""
    return await _request("GET", url, headers, None, most, seconds)


async def _request(
    method: str, url: str, headers: dict[str, str], body: bytes | None, most: int, seconds: float
) -> tuple[int, dict[str, str], bytes]:
    # aiohttp takes a tenth of a second to load, and most hosts never come here.
    from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar
    from yarl import URL

    from agenthost.models.openai.connection import proxy_for

    proxy = proxy_for(URL(url), "", os.environ)
    where = URL(url).host
    try:
        async with (
            ClientSession(
                timeout=ClientTimeout(total=seconds, sock_connect=30),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False, proxy=proxy) as response,
        ):
            got = bytearray()
            async for piece in response.content.iter_chunked(65536):
                got += piece
                if len(got) > most:
                    raise Permanent(f"{where} answered with more than {most} bytes.", code="too-large")
            return response.status, {name.lower(): value for name, value in response.headers.items()}, bytes(got)
    except ClientConnectorError as error:
        raise Temporary(f"{where} can't be reached: {error}", code="unreachable") from error
    except TimeoutError as error:
        raise Temporary(f"{where} did not answer in {seconds:g} s.", code="timeout", sent=True) from error
    except (ClientError, OSError, ValueError) as error:
        raise Temporary(f"The connection to {where} broke: {error}", code="unreachable", sent=True) from error
