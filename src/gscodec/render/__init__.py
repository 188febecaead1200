"""Pictures of scenes: rasterisation forward and backward, virtual cameras, PSNR and SSIM."""
