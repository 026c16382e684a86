"""The demo's small models, trained on procedurally drawn images only."""

# Largest first. Named here so that the rules need not import torch.
CLASSIFIERS = ("vit_m", "resnet_m", "vit_s", "resnet_s")
DIFFUSION_MODELS = ("adm_32",)
CLIP_MODELS = ("clip",)
CLIP_TOWER = "resnet_m"  # the bundled classifier that the training of a CLIP's image tower starts from
