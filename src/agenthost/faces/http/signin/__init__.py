"""The sign-in page, and what signs a browser in and out. It shows and asks; who may come in is decided in `host.entry`.

Nothing of it needs a token. Plain HTML without scripts, nothing from elsewhere.
"""

from starlette.routing import Route

from agenthost.faces.http.app import Face
from agenthost.faces.http.signin.handlers import SignIn
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.oidc import Providers


def face(entrance: Entrance, providers: Providers, home: str = "/sign-in") -> Face:
    """The routes. `home`: where somebody goes who has signed in and wanted nothing else."""
    signing = SignIn(entrance, providers, home)
    paths = (
        Route("/sign-in", signing.page, methods=["GET"]),
        Route("/sign-in", signing.sign_in, methods=["POST"]),
        Route("/sign-out", signing.sign_out, methods=["POST"]),
        Route("/sign-in/oidc/{name}", signing.begin, methods=["GET"]),
        Route("/sign-in/oidc/{name}/callback", signing.finish, methods=["GET"]),
    )
    return Face(
        paths,
        below=("/sign-in", "/sign-out"),
        refusal=signing.refusal,
        public=frozenset({"/sign-in", "/sign-out"}),
        public_below=("/sign-in/oidc/",),
    )
