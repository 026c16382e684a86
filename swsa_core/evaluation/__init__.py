"""How candidates are measured: protocols, AUROC, confidence, agreement."""
