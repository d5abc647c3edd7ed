"""Evidence: canonical records, their trees and chains, the package and its verifier."""
