"""The campaign is no part of the package, so it is found from the root of the repository."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent))
