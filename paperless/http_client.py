"""The only way in which this command makes HTTP clients: straight to the parts of the system, never through a proxy.

A proxy of the environment (`HTTP_PROXY`, `ALL_PROXY`, ...) stands between this machine and others; it cannot reach
127.0.0.1, nor what a container network names. And whoever plays or verifies reaches the broker without a proxy anyway.
"""

import ssl
from collections.abc import Collection, Mapping
from types import MappingProxyType

import httpx

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class CertificateError(RuntimeError):
    """The certificates that vouch for an https address cannot be read; says from where."""


def http_client(url: str, *, timeout_s: float, headers: Mapping[str, str] = _NO_HEADERS) -> httpx.Client:
    """Return a client, a context manager; `url` stands before the paths that are asked for.

    Raises:
        CertificateError: the address is https and `SSL_CERT_FILE` or `SSL_CERT_DIR` cannot be read.

    """
    return httpx.Client(base_url=url, headers=headers, timeout=timeout_s, trust_env=False, verify=_verify([url]))


def async_http_client(
    url: str = "", *, timeout_s: float, headers: Mapping[str, str] = _NO_HEADERS, urls: Collection[str] = ()
) -> httpx.AsyncClient:
    """Return the same for coroutines; one that asks at several addresses names them as `urls` instead."""
    return httpx.AsyncClient(
        base_url=url, headers=headers, timeout=timeout_s, trust_env=False, verify=_verify([url, *urls])
    )


def _verify(urls: Collection[str]) -> ssl.SSLContext | bool:
    """Certificates are read only where a connection is encrypted: what names them may be untidy too."""
    if not any(url.startswith("https:") for url in urls):
        return False
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise CertificateError(f"SSL_CERT_FILE, SSL_CERT_DIR: {error}; name PEM files or unset them") from error
