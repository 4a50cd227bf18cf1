"""Apps that authenticate by themselves: a claim signed with the private key, for an installation token.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
https://docs.github.com/en/rest/apps/apps

The libraries for keys and claims come with PyGithub and are imported where they are needed.
"""

from __future__ import annotations

from dataclasses import replace

from .records import App, Identity
from .routing import Answer, RefusalError, Request, Route
from .site import Site


def make_key(site: Site, app_id: int) -> str:
    """A new private key of an App, as PEM; the public one is kept."""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    site.apps[app_id] = replace(site.apps[app_id], key=public.decode())
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption())
    return private.decode()


def identify(site: Site, token: str) -> Identity | None:
    """The App that signed a claim; None when none of this site's did, or it has expired."""
    if token.count(".") != 2:
        return None
    import jwt

    for app in site.apps.values():
        try:
            claim = jwt.decode(token, app.key, algorithms=["RS256"], options={"require": ["exp", "iat", "iss"]})
        except (jwt.PyJWTError, ValueError):
            continue
        if str(claim["iss"]) == str(app.id):
            return Identity(app.slug, "key", app.id)
    return None


def get_installation(request: Request) -> Answer:
    """No App is installed on a fork: https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app"""
    app = _app(request)
    if request.repository.parent:
        raise RefusalError(404, "Not Found")
    return Answer({"id": app.installation, "app_id": app.id, "app_slug": app.slug, "permissions": app.permissions})


def create_token(request: Request) -> Answer:
    """With all permissions or those that are asked for: https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app"""
    app = _app(request)
    if request.number != app.installation:
        raise RefusalError(404, "Not Found")
    asked = {name.replace("_", "-"): access for name, access in request.body.get("permissions", {}).items()}
    if any(app.permissions.get(name) not in (access, "write") for name, access in asked.items()):
        raise RefusalError(422, "The permissions requested are not granted to this installation.")
    given = asked or app.permissions
    token = request.site.add_token(Identity(f"{app.slug}[bot]", "app", app.id, given))
    return Answer({"token": token, "expires_at": "2999-01-01T00:00:00Z", "permissions": dict(given)}, 201)


def _app(request: Request) -> App:
    if request.identity.kind != "key" or request.identity.app_id is None:
        raise RefusalError(401, "A JSON web token could not be decoded")
    return request.site.apps[request.identity.app_id]


ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/installation", get_installation),
    Route("POST", "/app/installations/{number:int}/access_tokens", create_token),
)
