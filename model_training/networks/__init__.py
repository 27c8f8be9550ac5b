"""Networks: backbones that look at pictures, and heads that name what they show."""
