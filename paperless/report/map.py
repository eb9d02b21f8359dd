"""The provinces as tiles, by D1. Pure."""

from html import escape
from typing import Final

from domain import Domain
from paperless.language import Texts
from services.scoring.rates.rates import RatesTable

TILE: Final = 86
HEIGHT: Final = 40
# Light to dark, from 0 to `MOST`; text on the darker ones is white.
SHADES: Final = ("#eef4f9", "#d3e5f2", "#abd0e8", "#74b0d8", "#3f8cc2", "#1d6aa8", "#124a78")
MOST: Final = 0.35
_WHITE_FROM: Final = 4


def tile_map(texts: Texts, rates: RatesTable, domain: Domain) -> str:
    """Return a map of tiles, in which every province is as large as another."""
    shares = {row.key: row.rates["d1"].value for row in rates.rows}
    columns = 1 + max(each.tile_col for each in domain.provinces.values())
    lines = 1 + max(each.tile_row for each in domain.provinces.values())
    tiles = []
    for code, province in domain.provinces.items():
        share = shares.get(code)
        shade = 0 if share is None else min(int(share / MOST * len(SHADES)), len(SHADES) - 1)
        x, y, ink = province.tile_col * TILE, province.tile_row * HEIGHT, "#fff" if shade >= _WHITE_FROM else "#14202e"
        tiles.append(
            f'<rect x="{x}" y="{y}" width="{TILE - 2}" height="{HEIGHT - 2}" fill="{SHADES[shade]}"/>'
            f'<text x="{x + 4}" y="{y + 15}" font-size="11" fill="{ink}">{escape(texts.name(province))}</text>'
            f'<text x="{x + 4}" y="{y + 31}" font-size="13" font-weight="bold" fill="{ink}">'
            f"{escape(texts.percent(share, 1))}</text>"
        )
    width, height = columns * TILE, lines * HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(texts("monthly.map"))}"'
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">'
        f"{''.join(tiles)}</svg>"
    )
