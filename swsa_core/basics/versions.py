"""The version of each stage: raise it when the stage's code changes what it computes, and it runs again.

`tests/rules/test_versions.py` keeps a digest of each stage's modules and fails when code changed and neither the version
here nor the accepted digest did. A generated source and a head are stages whose versions their modules declare.
"""

STAGE_VERSIONS = {
    "index_images": 1,
    "split_support": 1,
    "index_pool": 1,
    "invert_text_guided": 1,
    "train_text_guided": 1,
    "fetch_weights": 1,
    "weights": 1,
    "fetch_archive": 1,
    "fetch_dataset": 1,
    "sample_pool": 1,
    "sample_nearest": 1,
    "sample_others": 1,
    "embed_images": 1,
    "embed_support": 1,
    "embed_anomalies": 1,
    "embed_pool": 1,
    "expose": 1,
    "score_exposed": 1,
    "score_clip": 1,
    "cost": 1,
    "leaks": 1,
    "severity": 1,
    "evaluate": 7,
    "select": 3,
    "strategies": 1,
    "tables": 3,
    "before_after": 1,
    "total_variation": 1,
    "paper_tables": 1,
    "tsne": 1,
    "figures": 4,
    "paper_figures": 1,
    "report": 5,
    "mini_models": 1,
    "plan": 1,
    "inspect": 1,
}
