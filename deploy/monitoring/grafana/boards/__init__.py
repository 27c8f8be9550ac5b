"""The dashboards, one module each."""

from boards import capacity, catalogue, overview, pipeline, quality, serving

BOARDS = (overview.BOARD, pipeline.BOARD, serving.BOARD, catalogue.BOARD, quality.BOARD, capacity.BOARD)
