"""What names are made of, and the well-known coins with the ids their vendors give them."""

from typing import NamedTuple


class WellKnown(NamedTuple):
    """A real coin under both vendors' ids; price and market cap only set the scale."""

    coingecko_id: str
    symbol: str
    name: str
    coinpaprika_id: str
    price: float
    market_cap: float
    coinpaprika_name: str = ""
    coinpaprika_symbol: str = ""


WELL_KNOWN = (
    WellKnown("bitcoin", "btc", "Bitcoin", "btc-bitcoin", 67_250.0, 1.325e12),
    WellKnown("ethereum", "eth", "Ethereum", "eth-ethereum", 3_312.5, 3.98e11),
    WellKnown("tether", "usdt", "Tether", "usdt-tether", 1.0004, 1.12e11),
    WellKnown("binancecoin", "bnb", "BNB", "bnb-binance-coin", 587.2, 8.6e10, "Binance Coin"),
    WellKnown("solana", "sol", "Solana", "sol-solana", 151.3, 6.9e10),
    WellKnown("usd-coin", "usdc", "USDC", "usdc-usd-coin", 0.9998, 3.4e10, "USD Coin"),
    WellKnown("ripple", "xrp", "XRP", "xrp-xrp", 0.5312, 2.97e10),
    WellKnown("staked-ether", "steth", "Lido Staked Ether", "steth-lido-staked-ether", 3310.1,
              2.9e10),
    WellKnown("dogecoin", "doge", "Dogecoin", "doge-dogecoin", 0.1248, 1.8e10),
    WellKnown("tron", "trx", "TRON", "trx-tron", 0.1342, 1.17e10),
    WellKnown("cardano", "ada", "Cardano", "ada-cardano", 0.4123, 1.46e10),
    WellKnown("wrapped-bitcoin", "wbtc", "Wrapped Bitcoin", "wbtc-wrapped-bitcoin", 67_231.0,
              1.03e10),
    WellKnown("avalanche-2", "avax", "Avalanche", "avax-avalanche", 27.41, 1.08e10),
    WellKnown("shiba-inu", "shib", "Shiba Inu", "shib-shiba-inu", 1.713e-05, 1.01e10),
    WellKnown("chainlink", "link", "Chainlink", "link-chainlink", 13.28, 8.1e9),
    WellKnown("polkadot", "dot", "Polkadot", "dot-polkadot", 5.93, 8.4e9),
    WellKnown("bitcoin-cash", "bch", "Bitcoin Cash", "bch-bitcoin-cash", 384.7, 7.6e9),
    WellKnown("near", "near", "NEAR Protocol", "near-near-protocol", 5.11, 5.6e9, "Near Protocol"),
    WellKnown("leo-token", "leo", "LEO Token", "leo-leo-token", 5.87, 5.4e9),
    WellKnown("uniswap", "uni", "Uniswap", "uni-uniswap", 8.02, 4.8e9),
    WellKnown("litecoin", "ltc", "Litecoin", "ltc-litecoin", 71.3, 5.3e9),
    WellKnown("dai", "dai", "Dai", "dai-dai", 0.9999, 5.0e9),
    WellKnown("weth", "weth", "WETH", "weth-weth", 3_311.9, 1.0e10),
    WellKnown("pepe", "pepe", "Pepe", "pepe-pepe", 1.132e-05, 4.7e9),
    WellKnown(
        "internet-computer", "icp", "Internet Computer", "icp-internet-computer", 8.14, 3.8e9
    ),
    WellKnown("monero", "xmr", "Monero", "xmr-monero", 161.2, 2.9e9),
    WellKnown("aptos", "apt", "Aptos", "apt-aptos", 6.72, 3.1e9),
    WellKnown("stellar", "xlm", "Stellar", "xlm-stellar", 0.0987, 2.8e9),
    WellKnown("okb", "okb", "OKB", "okb-okb", 42.6, 2.5e9),
    WellKnown("hedera-hashgraph", "hbar", "Hedera", "hbar-hedera-hashgraph", 0.0712, 2.5e9,
              "Hedera Hashgraph"),
    WellKnown("sui", "sui", "Sui", "sui-sui", 0.912, 2.4e9),
    WellKnown("aave", "aave", "Aave", "aave-new", 134.7, 2.0e9),
    WellKnown("cosmos", "atom", "Cosmos Hub", "atom-cosmos", 6.31, 2.4e9, "Cosmos"),
    WellKnown("optimism", "op", "Optimism", "op-optimism", 1.71, 1.9e9),
    WellKnown("havven", "snx", "Synthetix", "hav-havven", 1.63, 5.4e8, "Synthetix Network Token"),
    WellKnown("iota", "iota", "IOTA", "miota-iota", 0.1711, 5.6e8, "IOTA", "MIOTA"),
)  # fmt: skip

STABLE = frozenset({"tether", "usd-coin", "dai"})
FOLLOWS = {"staked-ether": "ethereum", "weth": "ethereum", "wrapped-bitcoin": "bitcoin"}
"""Coins whose price is another's."""

COPIED = (
    *("weth", "weth", "weth", "weth", "weth", "usd-coin", "usd-coin", "usd-coin", "usd-coin"),
    *("tether", "tether", "tether", "tether", "wrapped-bitcoin", "wrapped-bitcoin", "dai", "dai"),
    *("ethereum", "solana", "bitcoin", "dogecoin", "shiba-inu", "avalanche-2", "ripple"),
    *("chainlink", "cardano", "tron", "binancecoin", "staked-ether", "uniswap", "near", "pepe"),
)
"""What bridges carry, the most bridged most often, as in CoinGecko's list of 2026."""

ONSETS = (
    *("b", "br", "c", "cr", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "l", "m"),
    *("m", "n", "n", "p", "pr", "qu", "r", "r", "s", "s", "sh", "sk", "st", "t", "t", "tr", "v"),
    *("v", "w", "x", "y", "z"),
)
NUCLEI = ("a", "a", "a", "e", "e", "e", "i", "i", "o", "o", "o", "u", "ae", "ia", "io", "y")
CODAS = ("", "", "", "", "", "l", "m", "n", "n", "nd", "r", "s", "t", "th", "x")
SUFFIXES = (
    "Network", "Protocol", "Finance", "Token", "Coin", "Chain", "DAO", "AI", "Swap", "Labs",
    "Games", "Verse", "Pay", "Cash", "Inu", "Markets", "Cloud", "World", "Art", "Energy",
)  # fmt: skip
ANIMALS = (
    "Otter", "Badger", "Heron", "Yak", "Newt", "Gecko", "Moth", "Walrus", "Ferret", "Stoat",
    "Lemur", "Tapir", "Marmot", "Puffin", "Toad",
)  # fmt: skip
NICKNAMES = (
    "Bobby", "Grumpy", "Tiny", "Sleepy", "Captain", "Doctor", "Baby", "Lucky", "Uncle", "Based",
    "Turbo", "Mister", "Cosmic", "Retired", "Second",
)  # fmt: skip
CHAINS = (
    "Base", "Arbitrum One", "Polygon PoS", "Mantle", "Scroll", "Linea", "zkSync", "Eclipse",
    "Starkgate", "Osmosis", "Krown", "Blast",
)  # fmt: skip
COPY_FORMS = (
    ("Wrapped {name}", "wrapped-{id}"),
    ("{name} (Wormhole)", "{id}-wormhole"),
    ("Binance-Peg {name}", "binance-peg-{id}"),
    ("{chain} Bridged {name}", "{chain_id}-bridged-{symbol}-{chain_id}"),
    ("L2 Standard Bridged {name} ({chain})", "l2-standard-bridged-{symbol}-{chain_id}"),
    ("Bridged {name} ({chain})", "bridged-{id}-{chain_id}"),
)
CROWDED = ("moon", "cat", "x", "meow", "ai", "gold", "dog", "fire", "one", "gm")
"""Tickers that many unrelated projects want."""

ODD_SYMBOLS = (
    "nan", "null", "none", "true", "inf", "n/a", "000", "42", "$1", "1%", "4.25", "100¥", "@btc25",
    "🟥🟩", "🔶", "發發發", "\u03b1ai", "hdp.ф", "$$$", "oxd v2", "usdc.e", "no", "1e5",
)  # fmt: skip
ODD_NAMES = (
    "\u200b\u200b{}", "{}\u00a0", "\u00a0{} ", "Ω {}", "{} 老板", "{} ★", "“{}”", "{}, Inc. & Co",
    "Łódź {}", "{} \u00fcber <b>", "Señor {}", "{} 🚀", "=SUM({})", '{} "Quoted"',
)  # fmt: skip
ODD_IDS = ("{}_old", "{}-[old]", "{} token", "{}-5", "{}.v2", "{}CNY")
