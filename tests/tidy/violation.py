"""One finding: where, what is wrong and what to do, in one sentence."""

import collections

Violation = collections.namedtuple("Violation", "path line text")
