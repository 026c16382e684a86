"""From a pick to a detector in service: made of normal images, kept in a folder, and asked about new images."""

from swsa_core.detect.detector import Detector, Scored, fit
from swsa_core.detect.folder import load_detector, save

__all__ = ["Detector", "Scored", "fit", "load_detector", "save"]
