"""
Write tests/unit/jobs/drift/scipy.json: what scipy says of small samples, to hold our own against.

    .tools/uv/bin/uv run --no-project --with scipy==1.17.1 --with numpy==2.4.6 \
        python tests/oracles/scipy_distances.py > tests/unit/jobs/drift/scipy.json
"""

import json
import sys
from datetime import UTC, datetime

import numpy as np
import scipy
from scipy import special, stats
from scipy.spatial.distance import jensenshannon

random = np.random.default_rng(20261121)


def gammas():
    for a in (0.5, 1, 1.5, 2, 3.5, 10, 49.5, 50, 500, 5_000, 100_000):
        for share in (0.01, 0.3, 0.8, 0.99, 1, 1.01, 1.2, 2, 5):
            yield {"a": a, "x": a * share, "upper": float(special.gammaincc(a, a * share))}


def numbers():
    for name, *sides in (
        ("normal", random.normal(0, 1, 300), random.normal(0, 1, 200)),
        ("moved", random.normal(0, 1, 300), random.normal(0.4, 1, 500)),
        ("heavy tail", random.standard_cauchy(200), 1.5 * random.standard_cauchy(300)),
        ("ties", random.integers(0, 6, 400), random.integers(1, 8, 150)),
        ("few", random.exponential(1, 9), random.exponential(2, 7)),
        ("apart", random.uniform(0, 1, 60), random.uniform(2, 3, 60)),
        ("one value", np.full(50, 3.0), random.normal(3, 1, 80)),
    ):
        was, now = (np.round(side, 6) for side in sides)
        edges = np.unique(np.quantile(was, np.arange(1, 10) / 10, method="inverted_cdf"))
        shares = [[(side <= edge).mean() for edge in edges] for side in (was, now)]
        cells = [np.diff(share, prepend=0.0, append=1.0) for share in shares]
        continuous = len(np.unique(was)) == len(was)  # else our cells are finer, on purpose
        yield {
            "name": name,
            "was": was.tolist(),
            "now": now.tolist(),
            "ks": float(stats.ks_2samp(was, now).statistic),
            "wasserstein": float(stats.wasserstein_distance(was, now)),
            "js": float(jensenshannon(*cells, base=2)) if continuous else None,
        }


def tails():
    """Large samples, where the asymptotic tail is meant to hold."""
    for n, m in ((500, 500), (1_000, 5_000), (50_000, 2_000)):
        for scaled in (0.4, 0.8, 1.2, 1.6, 2.0, 3.0):
            distance = scaled / np.sqrt(n * m / (n + m))
            root = n * m / (n + m)
            yield {
                "distance": float(distance),
                "n": n,
                "m": m,
                "p": float(stats.kstwo.sf(distance, round(root))),
            }


def counts():
    for was, now in (
        ([50, 30, 20], [45, 35, 20]),
        ([500, 300, 200], [400, 300, 300]),
        ([1_000, 60, 990], [100, 60, 70]),
        ([80, 120], [130, 70]),
        (list(range(20, 60)), list(range(60, 20, -1))),
    ):
        found = stats.chi2_contingency([was, now], correction=False)
        yield {"was": was, "now": now, "chi2": float(found.statistic), "p": float(found.pvalue)}


def adjusted():
    p = np.sort(np.concatenate([random.uniform(0, 0.02, 4), random.uniform(0, 1, 12)])).tolist()
    yield {"p": p, "adjusted": stats.false_discovery_control(p).tolist()}


found = {what.__name__: list(what()) for what in (gammas, numbers, tails, counts, adjusted)}
made = {"made": f"{datetime.now(UTC):%Y-%m-%d}", "scipy": scipy.__version__}
sys.stdout.write(json.dumps(made | found) + "\n")
