"""What people read, in their language. Catalogues are read from their sources: nothing has to be compiled."""

from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from beffroi.web import viewer

FOLDER = Path(__file__).parent / "locale"


@cache
def translations(language: str) -> NullTranslations:
    """Return the catalogue of a language; English is written in the source."""
    source = FOLDER / f"{language}.po"
    if not source.exists():
        return NullTranslations()
    compiled = BytesIO()
    with source.open(encoding="utf-8") as file:
        write_mo(compiled, read_po(file))
    compiled.seek(0)
    return Translations(compiled)


def gettext(text: str) -> str:
    """Return a text in the language of whoever looks."""
    return translations(viewer.current().language).ugettext(text) if text else text


def ngettext(one: str, many: str, count: int) -> str:
    return translations(viewer.current().language).ungettext(one, many, count)


def mark(text: str) -> str:
    """Mark a text to be translated where it is shown (`gettext(NAME)`)."""
    return text
