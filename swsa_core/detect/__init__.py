"""From a pick to a detector in service: made of normal images, kept in a folder, and asked about new images."""

from swsa_core.detect.detector import Detector, Scored
from swsa_core.detect.folder import load_detector, save
from swsa_core.detect.make import fit

__all__ = ["Detector", "Scored", "fit", "load_detector", "save"]
