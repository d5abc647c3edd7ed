"""What all tables share: naming of constraints, column types, identifiers.

Times are BIGINT microseconds UTC (``…_us``). Nouns that appear in URLs or records have a text id
of 16 characters (``bidwitness.ids``); mass rows (segments, gaps, audit) have a counting number.
"""

from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, MetaData, String
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.orm import DeclarativeBase, mapped_column

from bidwitness.ids import ID_LENGTH, new_id

BigInt = BigInteger().with_variant(Integer(), "sqlite")

Id = Annotated[str, mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)]
Number = Annotated[int, mapped_column(BigInt, primary_key=True, autoincrement=True)]
Us = Annotated[int, mapped_column(BigInteger)]
Text_ = Annotated[str, mapped_column(String(500))]
Long = Annotated[str, mapped_column(String(4000))]
Json = Annotated[Any, mapped_column(JSON)]


def ref(table: str, *, index: bool = True, primary_key: bool = False) -> Any:
    """Give a column that points to ``table``'s text id."""
    return mapped_column(
        String(ID_LENGTH), ForeignKey(f"{table}.id"), index=index, primary_key=primary_key
    )


def number_ref(table: str, *, index: bool = False) -> Any:
    """Give a column that points to ``table``'s counting number."""
    return mapped_column(BigInt, ForeignKey(f"{table}.id"), index=index)


def word_type(kind: type[StrEnum]) -> SqlEnum:
    """Give the text type that holds one value of a closed list of ``bidwitness.words``."""
    return SqlEnum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda words: [w.value for w in words],
    )


def word(kind: type[StrEnum]) -> Any:
    """Give a column that holds one value of a closed list of ``bidwitness.words``."""
    return mapped_column(word_type(kind))


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
