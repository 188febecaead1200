"""Anchors -> Gaussians that any viewer of 3DGS draws: `gscodec.bake.baking` does all of it."""
