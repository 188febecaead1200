"""Encode and decode a scene in memory: python roundtrip.py [SCENE.ply [METHOD]]."""

import sys
from pathlib import Path

import gscodec

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "mic-small/scene.ply"
method = sys.argv[2] if len(sys.argv) > 2 else "hac"

source = path.read_bytes()
read = gscodec.read_ply(source, name=path.name)
encoded = gscodec.encode_with_report(read.scene, method)
scene = gscodec.decode(encoded.data)

for note in read.notes + encoded.notes:
    print("changed:", note)
print(f"{len(source):,} -> {len(encoded.data):,} bytes, {len(scene):,} Gaussians")
print("position error:", encoded.report.get("position_error", "none"))
if scene.digest() != encoded.reconstruction.digest():
    sys.exit("decoded something else than the encoder promised")
