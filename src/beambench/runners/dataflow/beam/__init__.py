"""What imports Beam."""
