"""Named sizes. `adm256` is the published 256x256 unconditional model (guided-diffusion README); the others are ours."""

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
}
