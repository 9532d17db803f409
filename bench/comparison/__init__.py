"""Narthex beside other systems on one machine; bench/compare is the command."""
