"""How many networks a second are predicted: python tests/bench/prediction.py [BOARD] [NETWORKS]

The graphs are there before the clock starts. The first round sees every layer for the first time, the second one finds
what was counted along an axis already known.
"""

from __future__ import annotations

import sys
import time

from emulator.predict_fit import JUDGED
from emulator.predict_networks import network
from emulator.prediction import predict
from refsim import boards


def main(board: str = "nucleo-l4r5zi", count: str = "500") -> None:
    graphs = [network(JUDGED + n) for n in range(int(count))]
    target = boards.find(board)
    predict(network(0), target)
    for round_ in ("first", "again"):
        start = time.perf_counter()
        found = [predict(graph, target) for graph in graphs]
        taken = time.perf_counter() - start
        layers = sum(len(each.layers) for each in found)
        print(
            f"{round_}: {len(graphs) / taken:,.0f} networks/s, {1e6 * taken / layers:.1f} us a layer ({layers} layers)"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
