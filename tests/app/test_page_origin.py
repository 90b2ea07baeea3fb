"""Origins of pages: what no browser would ever send is refused, with what it would."""

import click
import pytest

from app.page_origin import PageOrigin


@pytest.mark.parametrize(
    "origin",
    [
        *("https://example.org", "http://127.0.0.1:8766", "http://localhost:3000", "https://[::1]:8443", "null"),
        *("https://xn--bcher-kva.example", "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb"),
    ],
)
def test_what_browsers_send_is_taken(origin: str) -> None:
    """Scheme and host, and the port where it is not the usual one; `null` is a page from a file."""
    assert PageOrigin().convert(origin, None, None) == origin


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("example.org", "https://example.org"),
        ("example.org:8443", "https://example.org:8443"),
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:8766", "http://127.0.0.1:8766"),
        ("https://example.org/", "https://example.org"),
        ("https://example.org/page?x=1#y", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("HTTPS://Example.org", "https://example.org"),
        ("LOCALHOST:3000", "http://localhost:3000"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
    ],
)
def test_another_form_is_refused_with_the_one_that_is_meant(given: str, meant: str) -> None:
    """It would be compared letter by letter and let nobody in."""
    with pytest.raises(click.BadParameter) as refused:
        PageOrigin().convert(given, None, None)
    assert refused.value.message == f"{given!r} is not what browsers call the origin of a page; give {meant}."


@pytest.mark.parametrize("given", ["https://bücher.example", "https://faß.de"])
def test_a_host_beyond_ascii_is_asked_for_as_browsers_send_it(given: str) -> None:
    """Somebody else may own "fass.de"."""
    with pytest.raises(click.BadParameter, match="browsers send hosts in ASCII; give the form that begins with xn--"):
        PageOrigin().convert(given, None, None)


@pytest.mark.parametrize("given", ["", "*", "https://*.example.org", "https://", "https://[::1", "a b", "x" * 70, 5])
def test_what_is_no_address_is_refused(given: object) -> None:
    """There are no patterns: each page is named."""
    with pytest.raises(click.BadParameter, match=r"is no origin of a web page; give one such as https://example\.org"):
        PageOrigin().convert(given, None, None)
