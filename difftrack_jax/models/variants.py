"""Named sizes: the published networks', and small complete layouts of ours for tests and the bundled weights.

`adm256` is the 256x256 unconditional model (guided-diffusion README); `sd15`, `sd21` and `gligen_sd14` are the
`unet/config.json` of their diffusers folders (SD 1.1 to 1.5 are of one size, and so are SD 2.0 and 2.1).
"""

ADM = {
    "adm256": dict(
        model_channels=256,
        out_channels=6,  # noise and its learned variance
        num_res_blocks=2,
        attention_resolutions=(8, 16, 32),
        channel_mult=(1, 1, 2, 2, 4, 4),
        num_head_channels=64,
        resblock_updown=True,
        use_scale_shift_norm=True,
    ),
    # 1/4 grid after the stem, attention on 1/8 (two captured decoder blocks) and 1/16.
    "mini": dict(
        model_channels=64,
        out_channels=3,
        num_res_blocks=(1, 1, 1),
        attention_resolutions=(2, 4),
        channel_mult=(1, 2, 3),
        num_heads=1,
        resblock_updown=False,
        use_scale_shift_norm=True,
        use_new_attention_order=True,
        patch=4,
        encoder_attention=False,
        cosine=True,
        rotary=True,
        null_key=True,
    ),
    "tiny": dict(
        model_channels=32,
        out_channels=3,
        num_res_blocks=(1, 1),
        attention_resolutions=(2,),
        channel_mult=(1, 1),
        num_heads=1,
        use_scale_shift_norm=True,
        use_new_attention_order=True,
        patch=4,
        encoder_attention=False,
        cosine=True,
        rotary=True,
        null_key=True,
    ),
    # The published layout, whole, at the size of a test.
    "tiny_adm": dict(
        model_channels=32,
        out_channels=6,
        num_res_blocks=1,
        attention_resolutions=(2, 4),
        channel_mult=(1, 1, 2),
        num_head_channels=16,
        resblock_updown=True,
        use_scale_shift_norm=True,
    ),
}

UNET2D = {
    "sd15": dict(widths=(320, 640, 1280, 1280), heads=(8, 8, 8, 8), text_features=768),
    "sd21": dict(widths=(320, 640, 1280, 1280), heads=(5, 10, 20, 20), text_features=1024),
    "gligen_sd14": dict(widths=(320, 640, 1280, 1280), heads=(8, 8, 8, 8), text_features=768, gated=True),
    "tiny_sd": dict(widths=(16, 32), heads=(2, 2), attention=(True, False), layers=1, text_features=24, groups=8),
}

# The released model is GLIGEN's SD 1.4 with ModelScope's temporal layers; its first release had no injectors.
UNET3D = {
    "trackdiffusion": dict(),
    "trackdiffusion_base": dict(injection=None),
    # Pixels in blocks of 4 x 4 as latents, on grids of 12, 6 and 3 for a frame of 48.
    "mini_video": dict(
        widths=(48, 96, 96),
        heads=(4, 4, 4),
        attention=(True, True, False),
        layers=1,
        text_features=64,
        in_channels=48,
        out_channels=48,
        groups=16,
        head_dim=24,
        entry_heads=2,
        slots=8,
        token_hidden=128,
        max_frames=8,
        coordinates=True,
        painted=True,
    ),
    "tiny_video": dict(
        widths=(16, 32),
        heads=(2, 2),
        attention=(True, False),
        layers=1,
        text_features=24,
        in_channels=48,
        out_channels=48,
        groups=8,
        head_dim=8,
        entry_heads=2,
        slots=4,
        token_hidden=16,
        max_frames=4,
        coordinates=True,
        painted=True,
    ),
}

VAE = {
    "sd": dict(widths=(128, 256, 512, 512)),  # Stable Diffusion 1 and 2, and GLIGEN: a stride of 8
    "tiny_sd": dict(widths=(8, 16), layers=1, groups=4),  # a stride of 2
}

CLIP_TEXT = {
    "clip_l": dict(width=768, layers=12, heads=12, activation="quick_gelu"),  # Stable Diffusion 1, GLIGEN
    # Stable Diffusion 2 reads OpenCLIP ViT-H/14 before its last layer, which its published folders leave out.
    "openclip_h": dict(width=1024, layers=23, heads=16, activation="gelu"),
    "tiny": dict(width=24, layers=2, heads=2, activation="quick_gelu"),
}

GROUNDING = {
    "mini_words": dict(widths=(32, 64, 96), features=64, ranks=16),
    "tiny_words": dict(widths=(8, 16, 16), features=16, ranks=4),
}
