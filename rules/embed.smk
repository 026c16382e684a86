"""Embeddings: images, prepared support images, anomalies and pools through every backbone.

Backbones whose patches some head compares have a rule of their own for each stage: one pass makes both files. What is tracked
is the same, so that a head that is added or removed embeds nothing whose files are there.
"""

for ending, slugs, patches in with_patches("image"):

    rule:
        name:
            f"embed_images{ending}"
        input:
            images=at("images"),
            weights=weights_file,
        output:
            at("image_features"),
            **patches,
        log:
            stage_log("embed_images", "dataset", "backbone"),
        benchmark:
            stage_benchmark("embed_images", "dataset", "backbone")
        wildcard_constraints:
            backbone=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: embedding_threads
        resources:
            gpu=embedding_gpus,
        params:
            **settings("embed_images", backbone="candidates.{backbone}", precision="precision"),
            # Embedding goes on without an image or ends at it; `evaluate` tells of finished embeddings that lack images.
            untracked=untracked(**of_dataset("on_bad_image")),
        script:
            "../workflow_scripts/embed_images.py"


for ending, slugs, patches in with_patches("support"):

    rule:
        name:
            f"embed_support{ending}"
        input:
            supports=support_files,
            weights=weights_file,
        output:
            at("support_features"),
            **patches,
        log:
            stage_log("embed_support", "dataset", "backbone"),
        benchmark:
            stage_benchmark("embed_support", "dataset", "backbone")
        wildcard_constraints:
            backbone=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: embedding_threads
        resources:
            gpu=embedding_gpus,
        params:
            **settings(
                "embed_support", backbone="candidates.{backbone}", precision="precision", preparation="preparation"
            ),
        script:
            "../workflow_scripts/embed_support.py"


for ending, slugs, patches in with_patches("anomaly"):

    rule:
        name:
            f"embed_anomalies{ending}"
        input:
            anomalies=anomaly_files,
            weights=weights_file,
        output:
            at("anomaly_features"),
            **patches,
        log:
            stage_log("embed_anomalies", "dataset", "backbone", "source"),
        benchmark:
            stage_benchmark("embed_anomalies", "dataset", "backbone", "source")
        wildcard_constraints:
            backbone=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: embedding_threads
        resources:
            gpu=embedding_gpus,
        params:
            **settings("embed_anomalies", backbone="candidates.{backbone}", precision="precision"),
        script:
            "../workflow_scripts/embed_anomalies.py"


# As of anomalies, by the same code; none where no protocol asks for reconstructions.
for ending, slugs, patches in with_patches("reconstruction") if STUDY.reconstructed else ():

    rule:
        name:
            f"embed_reconstructions{ending}"
        input:
            anomalies=reconstruction_files,
            weights=weights_file,
        output:
            at("reconstruction_features"),
            **patches,
        log:
            stage_log("embed_reconstructions", "dataset", "backbone", "source"),
        benchmark:
            stage_benchmark("embed_reconstructions", "dataset", "backbone", "source")
        wildcard_constraints:
            backbone=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: embedding_threads
        resources:
            gpu=embedding_gpus,
        params:
            **settings("embed_anomalies", backbone="candidates.{backbone}", precision="precision"),
        script:
            "../workflow_scripts/embed_anomalies.py"


for ending, slugs, patches in with_patches("pool"):

    rule:
        name:
            f"embed_pool{ending}"
        input:
            images=at("pool_images"),
            weights=weights_file,
        output:
            at("pool_features"),
            **patches,
        log:
            stage_log("embed_pool", "pool", "backbone"),
        benchmark:
            stage_benchmark("embed_pool", "pool", "backbone")
        wildcard_constraints:
            backbone=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: embedding_threads
        resources:
            gpu=embedding_gpus,
        params:
            **settings("embed_pool", backbone="candidates.{backbone}", precision="precision", preparation="preparation"),
        script:
            "../workflow_scripts/embed_pool.py"
