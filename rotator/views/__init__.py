"""What is told of outcomes, each in its form. Pure: values in, text out."""
