"""Words that are not, or not by themselves, the name of an asset in a headline.

The lists are short on purpose: what a word of a language means cannot be listed in full, so a name
must also be that of an asset of some rank, and stand in the right case; see
:mod:`tasks.domain.mentions`.
"""

_COMMON = """
a able about above access account across act action active ad add address advance adventure after
again against age agency agent agree ahead aid aim air album alert alien alive all alliance alone
alpha alpine altar always amp an anchor and angel animal answer any apart ape apex apollo app
apple april apron arc arcade arch arena ark arm army arrow art ash ask asset at atlas atom
attention auction audience august aura aurora auto avatar axe azure baby back bad balance balancer
ball banana band bank banker banks bar base based basic basis bat battle be beam bean bear beast
beat because bed bee beer before bell below benchmark bend best beta better beyond big bill bird
bit bite bitter black blade blast blaze blend bless block blocks blood blue blur board boat body
bold bolt bond bone bonus book boom boost boot border boring boss both bottom bounce bow bowl box
boy brain branch brand brave bread break brick bridge bright bring bronze brother brown bubble
bucket budget buddy bug build builder bull bunny burger burn business but butter button buy by
cake call camp can candle candy canon cap capital captain car carbon card care cargo carry cart
case cash cast castle cat catch cause cave cell center central century chain chair chance change
channel chaos charge charm chart chase cheap check cheese chef chess chill chip choice city civil
claim clash class classic clean clear click cliff climb clock close cloud clover club clue coal
coast code coffee coin coins cold collect color come comet comfort common community company
compass compound computer concept connect constellation consensus contract control convex cookie
cool copper copy coral core corn cosmos cost count counter country court cover cow craft crash
crazy cream create creator credit crew crisp cross crow crowd crown crystal cube culture curve
custom cut cycle daily dance dark dash data date dawn day days dead deal dear debt decade decision
deep deer degen delta demand dent depth desert design desk destiny device devil diamond dice
diesel digital dime direct dirt discovery dish dive do doctor dog dogs dollar dollars domain door
dot double down dragon dream dress drift drink drip drive drop drum dry duck dusk dust duty each
eagle early earn earth ease east easy eat echo eclipse economy edge effect egg eight either
elastic electric element elephant eleven elite else ember emerald empire empty end energy engine
enjoy enter entropy entry envoy epic epoch equal era escape essence eternal even event ever every
everything evil exact exchange exit expand experience express extra eye face fact factor fail fair
faith fall falcon falcons fame family fan fantasy far farm fast fat fate father favor fear feather
fee feed feel fellow fence few fiber field fifty fight figure file film final finance find fine
fire firm first fish fit five fix flag flair flame flare flash flat flavor fleet flex flight flip
float flock floor flow flower fluid flux fly focus fold follow food fool foot for force forest
forever forge form formation fort forth fortress fortune forward fossil found foundation four fox
fractal fragment frame free freedom fresh friend frog from front frost fruit fuel full fun
function fund funds fur fuse fusion future gain gala galaxy game games gaming gap garden gas gate
gather gauge gear gem gems general generation genesis genie genius gentle get ghost giant gift
giga girl give glacier glass glide glimpse global globe glory glow go goat god gold golden good
goose grace grade grain grand grant graph grass gravity gray great green grid grip ground group
grove grow growth guard guess guide guild gum gun guy hair half halo hammer hand hang happy harbor
hard hare harmony harvest hash hat have haven hawk he head health heart heat heaven heavy hedge
helium hell hello help here hero hidden high hill him hint hire history hit hive hold holder
holders hole holo holy home honest honey honor hook hop hope horizon horn horse host hot hotel
hour hours house how hub huge human humans hundred hunt hunter hydro hyper ice icon idea ideal
identity idle if illusion image immutable impact in inc index industry infinite infinity info ink
inside insight instant interest interesting interlay internet into invest investor investors iron
is island it item ivory jade jam jar jazz jet jewel job joe join joint joke journey joy judge
juice july jump june jungle jupiter jury just justice keen keep key keys kick kid kids kill kin
kind king kings kingdom kit kitchen kite kitten kiwi knife knight know lab labor lace lady lake
lamb lamp land lane large laser last late latest launch lava law layer lead leader leaf league
leap learn leash leave legacy legend lemon lens less let letter level liberty library license lid
life lift light like lily lime limit line link lion liquid liquidity list lit lite little live
loan loans local lock locus log logic lone long look looks loop lord lose lost lot loud love low
loyal luck lucky lunar lunch lure luxury lynx machine mad magic magma magnet magnetic main major
make maker man mana manifest manta mantle many map marble march margin mark market markets marlin
mars mask mass massive master match mate matrix matter mature max may maze me meal mean measure
meat media medium meet mega melody melt member meme memes memory men mental menu merge merit mesh
meta metal meteor meter method metric mice micro mid middle midnight might mile milk mill million
mind mine miner miners mini mint minute miracle mirror mist mix mobile mode model modern moment
money monster month months mood moon moonbeam moonlight more morning morph most moth mother motion
motor mountain mouse mouth move movement movie much multi muse museum music must mystery myth nail
naked name nano narrow nation native nature near nebula neck need nest net network neural neutral
neutron never new news next nice night nightmare nine ninja nitro no noble nobody node noise none
noon nope normal north not note nothing notional nova novel november now null number oak oasis
ocean october odd of off offer office official oil okay old olive olympus omega omen omni on once
one onion only onyx open opera opinion opium optimism optimist option options or oracle orange orb
orbit orca orchid order ore organic origin osmosis other our out outer output over own owner
oxygen ozone pack page paid pain paint pair palace palm panda panel panic paper parade paradise
parcel parent park part partner party pass past path patrol pattern pay payment peace peach peak
pearl pen penguin people pepper perfect perp person pet phase phoenix phone photo photon piano
pick picture pie piece pig pilot pine pink pioneer pipe pirate pixel pizza place plain plan plane
planet plant plasma plate platform play player plaza plug plus pocket poem poet point points
poison poker pole polar police policy pond pony pool pop popcorn port portal pose position post
pot potato potion pound power prayer premia premium present press pretty price pride primate prime
prince prism private prize pro problem profit project promise proof propel property protocol
proton proud prove public puff pulse puma pump punch pure purple purpose push put puzzle quack
quality quantum quarter queen quest question quick quiet quite quiz quote rabbit race radar
radiant radical radio rage raid rail rain rainbow raise rally ram ranger rank rare rat rate raven
raw ray reach react read ready real realm reason rebel record red reef reflect reflex refund
region regular relay release relic render rent report republic rescue research reserve reset rest
result retro return reveal revolution reward rice rich ride right ring rise risk river road roar
robin robot rock rocket rogue role roll room root rope rose round route router row royal ruby rule
rules run rune runes rush rust sad saddle safe saga sage sail saint sake salad sale salt same sand
sandbox sapphire satellite saturn sauce savage save saving savvy say scale scar scene school
science score scout scream screen script scroll sea seal search season seat second secret section
sector secure security see seed seek self sell send senate sense sentinel september serum serve
set settle seven shade shadow shake shape share shares shark sharp shell shelter shield shift
shine ship shiver shock shop shore short shot should show shrine shutdown side sight sigma sign
signal silent silk silly silver simple simply since single siren six size skill skin skull sky
slam slash sleep slice slide slim sloth slow small smart smile smoke smooth snake snap snow so
social society soft soil solar solid solo solution some son sonic song soon sophia sorry soul
sound soup source south sovereign space spark sparrow speak spectre spectrum speed spell spend
sphere spice spider spike spin spiral spirit split sport sports spot spread spring sprint square
squid stable stack stacks stage stake staking star stars start starter state states station status
stay steady steak stealth steam steel stem step steps stereo sting stock stocks stone stop storage
store storm story straight strange strategy stream street stress strike string strong student
studio study stuff style sub success such sudden sugar suit summer summit sun sunny super supply
support sure surf surge surprise swan swap swarm sweep sweet swell swift swim swing switch sword
symbol sync synergy system table tag tail take talent talk tank tap target task tax tea teach team
tear tech tectonic telos tell ten tender tensor term terminal terminus terra test text thanks that
the theater then theory there thing things think third this thor thorn thread three threshold
thrive throne through thunder tick ticket tide tie tiger tight time times tiny tip titan title to
toad toast today token tokens ton tone too tool tools top torch tornado total touch tour toward
tower town toy trace track trade trader traders trail train transfer trap travel treasure treasury
tree trend trial tribe trick trigger trinity trip triple troll true truffle trump trust truth try
tube tulip tune turbo turn turtle twin twist two type ultra umbrella unbound under unicorn unified
union unique unit unity universal universe unknown unlock until up update upgrade urban urge us
usual valley value valve van vanguard vault vector vega velo velocity velvet venom venture venus
verge verse vertex very vessel via vibe vibrant vice victory video view village vine vintage
violet viper viral virtual virtue virus vision visor vital vivid voice void volt volume vortex
vote voucher voyage vulcan wagon wait walk wall wallet war warden warm warrior wash waste watch
water wave waves wax way wealth weapon wear weather web week weeks weird well west whale wheat
wheel when where which whiskey whisper white who whole why wide wife wild will win wind window
wine wing wings winner winter wire wisdom wise wish witch with witness wolf woman women wonder
wood word words work worker workers world worm worth wow write wrong yard year years yellow yes
yesterday yield you young your youth zap zen zenith zero zest zone zoo
"""
# Words above all in news of markets.
_TRADE = """
adoption analysts approval arbitrage assets bitcoins blockchain bulls bears bullish bearish cbdc
ceo cfo court crypto currency custody defi derivatives dex economy etf etfs exploit fees futures
gains governance hack hackers halving hodl inflation interest ipo jobs latency lawsuit lender
lending leverage listing losses mainnet metaverse mining nft nfts onchain outflow outlook peg
perpetual profits pumps ransomware rally regulator regulators report reserves rollup rollups rug
rugpull scam scams selloff senator settlement stablecoin stablecoins staking taxes testnet
tokenized tokenization tradfi trading treasuries validators volatility volumes wallets whales
yields
"""
# Companies, people, places and products; news about them is not news about a token of their name.
_NAMES = """
adam africa alice alibaba amazon america anthropic apple argentina asia austin australia baidu
barack berlin biden binance bitfinex bitget bithumb bitstamp bittrex blackrock bloomberg bob
boston brazil brett brian britain bybit california canada celsius charles charlie china circle
citadel citi clinton coinbase coindesk coinmarketcap colombia crypto.com dallas david deribit
donald dubai elizabeth elon europe exodus facebook fidelity florida france ftx galaxy gary gemini
genesis germany google grayscale harris hongkong houston huobi india iran israel italy japan
jerome jesus john joseph jpmorgan kamala kraken kucoin korea ledger london luna macron madrid maga
malta maria mars mastercard melania messi metamask mexc mexico miami michael microsoft milan
morgan moscow moses munich musk nasa nasdaq nato netflix netherlands nigeria nike nintendo nvidia
nyse okex okx openai opensea oprah oracle oslo palantir panama paris paypal peter poland portugal
powell putin qatar reddit revolut ripple robinhood roger romania ronaldo russia sam samsung
satoshi scotland seoul singapore snoop sony spain spotify starbucks starlink stripe sweden swiss
switzerland sydney taiwan telegram tesla texas thailand tiktok tokyo toronto toyota trezor trump
turkey twitter uber uganda ukraine uniglo upbit vatican venezuela vienna vietnam visa vitalik
walmart warren washington wells whatsapp xi yahoo youtube zelensky zoom zuckerberg
"""
_ACRONYMS = """
ABC ACH AI AMA AMC AML API APR APY ATH ATL ATM AUD AUM BBC BIS BOE BOJ BRL CAD CBDC CBOE CEO CEX
CFO CFTC CHF CIA CIO CMO CME CNN CNY COO CPI CPU CRM CTO DAO DAPP DC DCA DCG DEA DEFI DEX DJ DM
DOGE DOJ DTCC DXY ECB EMEA EOD EPS ESG ETC ETF ETFS ETN ETP EU EUR EV EVM FAQ FBI FCA FDA FDIC FED
FINMA FINRA FOMC FOMO FTC FTSE FTX FUD FX GAAP GBP GDP GDPR GPU GRAM HK HKD HODL HQ IBM ICE ICO ID
IDO IEO IMF INC INR IOU IP IPO IQ IRA IRS IT JPY JP KOL KRW KYC LA LLC LLM LP LTD MAGA ME MEV MIT
ML MPC MVP NASA NATO NBA NDA NFA NFL NFT NFTS NGO NHL NSA NY NYC NYDFS NYSE NYT OCC OECD OFAC OTC
P2P PBOC PC PCE PE PM POS POW PPI PR PSA PYPL Q1 Q2 Q3 Q4 QE QR QT R&D RBI ROI RPC RPM RSI RTO RWA
SAFE SBF SDK SEC SEO SGX SME SNB SPAC SPY SWIFT TA TBA TBD TEE TGE TLDR TPS TSMC TV TVL UAE UI UK
UN US USA USD USDT VAT VC VIP VPN VR VS WHO WSJ WTF WTI XAU XI YOLO YTD ZK
"""
_STOCKS = """
AAPL AMD AMZN ARKB ARKK BABA BITB BITO BKKT BLK BMNR BTBT BTDR CAN CIFR CLSK COIN CORZ CRCL ETHA
ETHE EZBC FBTC FIGR GBTC GLD GLXY GME GOOG GOOGL HIVE HODL HOOD HUT IBIT IREN JPM MARA META MSFT
MSTR NFLX NVDA PLTR PYPL QQQ RIOT SBET SMLR SNOW SPX STRC STRK SQ TSLA UBER WULF XYZ
"""
COMMON_WORDS = frozenset(f"{_COMMON} {_TRADE} {_NAMES}".split())
"""As a name of one word these never stand for an asset."""

DOUBTFUL_NAMES = frozenset(["avalanche", "chia", "maple", "monad", "pepe", "ronin", "stellar"])
"""Words of a language that in such news often are the asset: only capitalised in running text."""

CAPITALISED_NAMES = frozenset(["polygon", "tether"])
"""Words that are the asset whenever they are capitalised, but never in lower case."""

ACRONYMS = frozenset(_ACRONYMS.split())
"""Capitals that in running text mostly mean something else."""

STOCK_TICKERS = frozenset(_STOCKS.split())
"""Shares and funds that such news name by ``$TICKER`` or ``(TICKER)``; joke coins copy them."""

FORKS = frozenset(["cash", "classic", "sv", "gold", "diamond", "private", "dark"])
"""``Bitcoin Gold`` is not Bitcoin, whether or not it is an asset we know."""
