"""The words of the trade: values, enumerations, policy and the column names of frames.

Standard library only. Every other room speaks these words; none of them is defined twice.
"""
