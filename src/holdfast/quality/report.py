"""The data-quality report: made of a table by `explore`, shown as a page by `render_html`."""

from __future__ import annotations

from holdfast.quality.explore import explore
from holdfast.quality.findings import QualityReport
from holdfast.quality.render import render_html

__all__ = ["QualityReport", "explore", "render_html"]
