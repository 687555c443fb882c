"""Reads a Delta table with Ray Data, in a process of its own: Ray's daemons begin and end with it.

Standard input: JSON with `url`, `version` and `options` (storage). Standard output: JSON of rows, max, sum of
`volume`.
"""

import json
import os
import sys
import tempfile

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}


def main() -> None:
    asked = json.load(sys.stdin)
    os.environ.update(ENVIRONMENT)
    import ray

    with tempfile.TemporaryDirectory(prefix="ray-") as place:
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=place,
        )
        try:
            table = ray.data.read_delta(
                asked["url"], asked["version"], storage_options=asked["options"], columns=["volume"]
            )
            volumes = [
                n for part in table.iter_batches(batch_format="numpy") for n in part["volume"].tolist()
            ]
        finally:
            ray.shutdown()
    print(json.dumps({"rows": len(volumes), "max": max(volumes), "sum": sum(volumes)}))


if __name__ == "__main__":
    main()
