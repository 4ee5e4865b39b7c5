"""The pictures in docs/images: drawn by what the pages run, then made small.

  python -m tests.docs_images FOLDER

where FOLDER is where the commands of the tutorial and of README ran.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from launch.web import browser
from tests import docs_files

IMAGES = docs_files.ROOT / 'docs' / 'images'
# Where the commands of the pages leave each picture.
PICTURES = {
    'curves.png': 'runs/fashion_mnist_convnet/report/curves.png',
    'loop.png': 'loop.png',
    'mistakes.png': 'runs/parts/report/index.html',
    'rates.png': 'looks/rates.png',
    'robust_loss.png': 'robust_loss.png',
}
MAX_BYTES = 40_000
_NUM_COLORS = 64
# What of a report is shown.
_SECTION = 'Most confident mistakes'
_SHOWN = '<style>body > * {{display: none}} #{} {{display: block}}</style>'


def small(path: pathlib.Path) -> Image.Image:
  """Reads a picture with few colors."""
  image = (_shown if path.suffix == '.html' else Image.open)(path)
  image = image.convert('RGB')
  return image.quantize(_NUM_COLORS, dither=Image.Dither.NONE)


def _shown(page: pathlib.Path) -> Image.Image:
  """Shows a section of a report in a browser."""
  text = page.read_text()
  [section] = re.findall(rf'<section id="(\w+)"><h2>{_SECTION}', text)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / 'page.html').write_text(text + _SHOWN.format(section))
    subprocess.run(
        [
            str(browser.installed()),
            '--headless',
            '--no-sandbox',
            '--hide-scrollbars',
            '--window-size=1000,350',
            f'--screenshot={folder}/page.png',
            f'{folder}/page.html',
        ],
        check=True,
        capture_output=True,
    )
    image = Image.open(folder / 'page.png')
    image = image.crop((0, 40, *image.size))  # Less the margin of the page.
  return image


def difference(name: str, folder: pathlib.Path) -> float:
  """Compares a picture with the one in docs/images.

  Args:
    name: Its name there.
    folder: Where the commands of the pages ran.

  Returns:
    The mean difference of a pixel, in [0, 1]; 1 if the sizes differ.
  """
  kept, drawn = Image.open(IMAGES / name), small(folder / PICTURES[name])
  if kept.size != drawn.size:
    return 1.0
  kept, drawn = (np.asarray(i.convert('L'), np.float32) for i in (kept, drawn))
  return float(np.mean(np.abs(kept - drawn)) / 255)


def main(args: list[str]) -> int:
  """Writes the pictures that are found in a folder; returns the exit code."""
  [folder] = map(pathlib.Path, args)
  for name, path in PICTURES.items():
    if (folder / path).exists():
      small(folder / path).save(IMAGES / name, optimize=True)
      print(f'docs/images/{name}: {(IMAGES / name).stat().st_size} bytes')
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
